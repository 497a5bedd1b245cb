"""Rows of files, models, checkpoints, events and steps: whose they are, and what is still needed."""

import json

import pytest

from local_api.errors import ModelNotFound, NotFound
from local_api.store.ids import ALPHABET, model_name, new_id


def test_names_look_as_people_know_them():
    assert len({new_id("ftjob-") for _ in range(100)}) == 100
    identifier = new_id("file-")
    assert identifier.startswith("file-") and len(identifier) == 29 and set(identifier[5:]) <= set(ALPHABET)
    assert model_name("tiny", "local", "mine").rsplit(":", 1)[0] == "ft:tiny:local:mine"
    assert model_name("tiny", "local", None).rsplit(":", 1)[0] == "ft:tiny:local:" and len(model_name("t", "l", None)) == len("ft:t:l::") + 8


def test_a_file_belongs_to_its_project(store, make_file):
    mine, theirs = make_file(filename="ä.jsonl"), make_file(project="other")
    assert store.files.get("default", mine["id"])["filename"] == "ä.jsonl"
    for call in (store.files.get, store.files.delete):
        with pytest.raises(NotFound, match=f"No such File object: {theirs['id']}"):
            call("default", theirs["id"])
    assert store.files.get("other", theirs["id"])["id"] == theirs["id"]


def test_files_are_listed_by_project_and_purpose(store, make_file):
    one, two, three = make_file(), make_file(purpose="user_data"), make_file()
    make_file(project="other")

    def listed(**options):
        rows, more = store.files.page("default", **{"purpose": None, "limit": 9, "after": None, "ascending": False, **options})
        return [row["id"] for row in rows], more
    assert listed() == ([three["id"], two["id"], one["id"]], False)
    assert listed(purpose="fine-tune", ascending=True, limit=1) == ([one["id"]], True)
    assert listed(purpose="fine-tune", after=three["id"]) == ([one["id"]], False)


def test_contents_are_needed_as_long_as_a_file_has_them(store, make_file):
    one, two, other = make_file(b"same"), make_file(b"same", project="other"), make_file(b"different")
    assert store.files.used() == {one["sha256"], other["sha256"]}
    assert store.files.delete("default", one["id"]) is None, "the other project's file needs them"
    assert store.files.delete("other", two["id"]) == one["sha256"]
    assert store.files.used() == {other["sha256"]}


@pytest.mark.parametrize("which", ["training", "validation"])
@pytest.mark.parametrize(("status", "needed"), [("validating_files", True), ("queued", True), ("running", True), ("paused", True),
                                                ("succeeded", False), ("failed", False), ("cancelled", False)])
def test_contents_are_needed_as_long_as_a_job_may_read_them(store, make_file, make_job, which, status, needed):
    file = make_file(b"for the job")
    make_job(status, **{f"{which}_file": file["id"], f"{which}_sha256": file["sha256"]})
    assert store.files.delete("default", file["id"]) == (None if needed else file["sha256"])
    assert (file["sha256"] in store.files.used()) == needed


def test_a_model_belongs_to_its_project(store, make_model):
    mine, theirs = make_model("ft:mine"), make_model("ft:theirs", project="other")
    assert store.models.get("default", mine)["parent"] == "tiny"
    for call in (store.models.get, store.models.delete):
        with pytest.raises(ModelNotFound):
            call("default", theirs)
    assert [row["id"] for row in store.models.all("other")] == [theirs]


def test_models_are_listed_newest_first_without_checkpoints(store, make_model):
    make_model("ft:1")
    make_model("ft:1:ckpt-step-5", kind="checkpoint")
    make_model("ft:2")
    assert [row["id"] for row in store.models.all("default")] == ["ft:2", "ft:1"]


def test_a_model_that_is_registered_twice_is_one_model(store, make_model, make_job):
    job = make_job("running")
    for adapter in ("a1", "a2"):
        make_model("ft:1", job_id=job["id"], adapter=adapter)
    assert [row["adapter"] for row in store.models.all("default")] == ["a1"]


def test_an_adapter_is_needed_as_long_as_a_model_or_a_job_has_it(store, make_model, make_job):
    make_model("ft:1", adapter="shared")
    make_model("ft:1:ckpt-step-5", adapter="shared", kind="checkpoint")
    job = make_job("queued", start_from="shared")
    assert store.models.used() == {"shared"}
    assert store.models.delete("default", "ft:1") is None
    assert store.models.delete("default", "ft:1:ckpt-step-5") is None, "the job will start from it"
    assert store.models.used() == {"shared"}
    store.jobs.move(job["id"], "cancelled")
    assert store.models.used() == set()


@pytest.fixture
def make_checkpoint(store, make_job, make_model):
    """A checkpoint of one job with its model; what was dropped."""
    job = make_job("running")

    def make(step, adapter=None):
        name = make_model(f"ft:tiny:{step}", job_id=job["id"], adapter=adapter or f"adapter {step}", kind="checkpoint")
        return store.checkpoints.add(job["id"], step, model=name, metrics={"step": step})
    make.job_id = job["id"]
    return make


def steps(store, job_id):
    return [row["step"] for row in store.checkpoints.page(job_id, limit=10, after=None)[0]]


def test_the_last_three_checkpoints_stay_with_their_models(store, make_checkpoint):
    dropped = [make_checkpoint(step) for step in (10, 20, 30, 40, 50)]
    assert dropped == [set(), set(), set(), {"adapter 10"}, {"adapter 20"}]
    assert steps(store, make_checkpoint.job_id) == [50, 40, 30]
    assert store.models.used() == {"adapter 30", "adapter 40", "adapter 50"}
    last = store.checkpoints.last(make_checkpoint.job_id)
    assert last["step"] == 50 and json.loads(last["metrics"]) == {"step": 50}


def test_a_checkpoint_that_is_told_again_changes_nothing(store, make_checkpoint):
    for step in (10, 20, 30, 40):
        make_checkpoint(step)
    before = [tuple(row) for row in store.checkpoints.page(make_checkpoint.job_id, limit=10, after=None)[0]]
    assert make_checkpoint(40) == set()
    assert [tuple(row) for row in store.checkpoints.page(make_checkpoint.job_id, limit=10, after=None)[0]] == before


def test_a_checkpoint_whose_model_its_owner_deleted_is_dropped_all_the_same(store, make_checkpoint):
    make_checkpoint(10)
    store.models.delete("default", "ft:tiny:10")
    assert [make_checkpoint(step) for step in (20, 30, 40)] == [set()] * 3
    assert steps(store, make_checkpoint.job_id) == [40, 30, 20]


def test_a_job_without_checkpoints_has_no_last_one(store, make_job):
    assert store.checkpoints.last(make_job()["id"]) is None


def test_the_same_thing_is_told_once_for_each_job(store, make_job, messages):
    one, two = make_job(), make_job()
    for job in (one, two):
        for message in ("first", "again"):
            store.events.add(job["id"], "key", message)
    assert messages(one["id"])[1:] == messages(two["id"])[1:] == ["first"]


def test_events_with_figures_are_metrics(store, make_job, clock):
    job = make_job()
    store.events.add(job["id"], "plain", "text", level="warn")
    store.events.add(job["id"], "step-1", "Step 1/2", type="metrics", data={"step": 1})
    newest, older, _ = store.events.page(job["id"], limit=9, after=None)[0]
    assert (newest["type"], json.loads(newest["data"]), newest["level"]) == ("metrics", {"step": 1}, "info")
    assert (older["type"], older["data"], older["level"], older["created_at"]) == ("message", None, "warn", int(clock.now))


def test_events_of_another_job_are_no_place_to_page_from(store, make_job):
    one, two = make_job(), make_job()
    foreign = store.events.page(two["id"], limit=1, after=None)[0][0]["id"]
    with pytest.raises(LookupError):
        store.events.page(one["id"], limit=1, after=foreign)


def test_a_step_is_kept_once_and_read_in_order(store, make_job):
    job = make_job("running")["id"]
    assert store.steps.last(job) is None and store.steps.all(job) == []
    assert [store.steps.add(job, step, {"step": step, "train_loss": 0.5}) for step in (2, 1, 10)] == [True] * 3
    assert store.steps.add(job, 2, {"step": 2, "train_loss": 9.0}) is False
    assert [report["step"] for report in store.steps.all(job)] == [1, 2, 10]
    assert store.steps.at(job, 2)["train_loss"] == 0.5 and store.steps.last(job)["step"] == 10
