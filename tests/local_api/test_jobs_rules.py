"""The rules of fine-tuning jobs: what may be asked for, how a job is shown, which way it may go."""

import dataclasses

import pytest
from openai.types.fine_tuning import FineTuningJob

from local_api import jobs as rules
from local_api.errors import Conflict, InvalidRequest, ModelNotFound, NotFound, UnsupportedParameter


@pytest.fixture
def check(store, engine, make_file):
    """The columns for a request with overrides."""
    def check(**overrides):
        body = {"model": "tiny", **overrides}
        body.setdefault("training_file", make_file()["id"])
        return rules.check(body, store, engine, "default")
    return check


def test_a_plain_request_becomes_a_row(check, store):
    columns = check()
    assert columns["method"] == "supervised" and columns["start_from"] is None and columns["metadata"] is None
    assert columns["requested"] == {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    job = rules.add(store, "default", columns, seed=3)
    assert job["status"] == "validating_files" and job["seed"] == 3 and job["validation_sha256"] is None
    assert [row["message"] for row in store.events.page(job["id"], limit=9, after=None)[0]] == [f"Created fine-tuning job: {job['id']}"]


def test_a_job_whose_event_cannot_be_kept_is_not_there_either(check, store, monkeypatch):
    monkeypatch.setattr(store.events, "add", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rules.add(store, "default", check(), seed=3)
    assert store.jobs.page("default", metadata=None, limit=9, after=None) == ([], False)


@pytest.mark.parametrize("body", [
    {"hyperparameters": {"n_epochs": 2, "batch_size": None}},
    {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}},
    {"method": {"type": "supervised"}, "hyperparameters": {"n_epochs": 2}},
    {"method": {"type": "supervised", "supervised": {}}, "hyperparameters": {"n_epochs": 2}},
])
def test_hyperparameters_are_found_wherever_they_were_given(body):
    assert rules.hyperparameters(body) == ("supervised", {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": "auto"})


def test_preferences_have_a_beta_and_may_take_their_limit():
    method, requested = rules.hyperparameters({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2, "batch_size": 256}}}})
    assert method == "dpo" and requested == {"n_epochs": "auto", "batch_size": 256, "learning_rate_multiplier": "auto", "beta": 2}


@pytest.mark.parametrize(("body", "kind", "param"), [
    ({"method": {"type": "reinforcement"}}, UnsupportedParameter, "method.type"),
    ({"method": {"type": "supervised", "dpo": {}}}, InvalidRequest, "method.dpo"),
    ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0}}}}, InvalidRequest, "method.dpo.hyperparameters.beta"),
    ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2.1}}}}, InvalidRequest, "method.dpo.hyperparameters.beta"),
    ({"hyperparameters": {"beta": 1}}, InvalidRequest, "hyperparameters.beta"),
    ({"hyperparameters": {"n_epochs": 0}}, InvalidRequest, "hyperparameters.n_epochs"),
    ({"hyperparameters": {"learning_rate_multiplier": float("inf")}}, InvalidRequest, "hyperparameters.learning_rate_multiplier"),
    ({"hyperparameters": {"n_epochs": 2}, "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}},
     InvalidRequest, "hyperparameters"),
])
def test_hyperparameters_that_cannot_be_are_refused_by_their_place(body, kind, param):
    with pytest.raises(kind) as refusal:
        rules.hyperparameters(body)
    assert refusal.value.param == param and type(refusal.value) is kind


@pytest.mark.parametrize("suffix", ["", "x" * 65])
def test_a_suffix_has_1_to_64_characters(check, suffix):
    with pytest.raises(InvalidRequest, match=f"suffix must have 1 to 64 characters, not {len(suffix)}"):
        check(suffix=suffix)
    assert check(suffix="x" * 64)["suffix"] == "x" * 64


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_fits_31_bits(check, seed):
    with pytest.raises(InvalidRequest) as refusal:
        check(seed=seed)
    assert refusal.value.param == "seed"


@pytest.mark.parametrize("pairs", [{str(i): "" for i in range(17)}, {"k" * 65: ""}, {"k": "v" * 513}])
def test_metadata_has_its_limits(pairs):
    with pytest.raises(InvalidRequest, match="up to 16 pairs"):
        rules.metadata({"metadata": pairs})
    largest = {"k" * 62 + f"{i:02}": "v" * 512 for i in range(16)}
    assert rules.metadata({"metadata": largest}) == largest and rules.metadata({"metadata": {}}) is None


def test_training_starts_from_ones_own_fine_tuned_model(store, engine, make_model):
    make_model("ft:mine", adapter="a9")
    make_model("ft:mine:ckpt-step-4", adapter="a4", kind="checkpoint")
    make_model("ft:theirs", project="other")
    for name, adapter in (("ft:mine", "a9"), ("ft:mine:ckpt-step-4", "a4")):
        made_by = store.models.get("default", name)["job_id"]
        assert rules.origin(name, store, engine, "default") == {"model": name, "base_model": "tiny", "start_from": adapter, "parent_job": made_by}
    for name in ("ft:theirs", "nobody"):
        with pytest.raises(ModelNotFound, match="fine-tune tiny, or a fine-tuned model of your own"):
            rules.origin(name, store, engine, "default")


def test_a_model_of_another_engine_is_refused_by_what_it_was_trained_on(check, make_model):
    make_model("ft:mock-base:local::1", base_model="mock-base")
    with pytest.raises(InvalidRequest, match=r"was trained on mock-base, which this server \(fake engine\) does not have: fine-tune tiny") as refusal:
        check(model="ft:mock-base:local::1")
    assert refusal.value.param == "model"


@pytest.fixture
def generation(store, engine, make_model, make_job):
    """A job from a model, and the model that it makes; the job."""
    def generation(parent, name, kind="model"):
        origin = rules.origin(parent, store, engine, "default")
        made_by = make_job("running", **origin)
        store.jobs.move(made_by["id"], "succeeded", fine_tuned_model=name)
        make_model(name, job_id=made_by["id"], parent=parent, kind=kind)
        return store.jobs.get("default", made_by["id"])
    return generation


def test_a_job_shows_every_generation_that_it_comes_from(here, generation):
    jobs = [generation("tiny", "ft:1"), generation("ft:1", "ft:2:ckpt-step-9", "checkpoint"), generation("ft:2:ckpt-step-9", "ft:3")]
    shown = [rules.shape(here, job) for job in jobs]
    assert [job["lineage"] for job in shown] == [["tiny"], ["tiny", "ft:1"], ["tiny", "ft:1", "ft:2:ckpt-step-9"]]
    assert all(FineTuningJob.model_validate(job).lineage == job["lineage"] and job["lineage"][-1] == job["model"] for job in shown)


def test_what_was_deleted_still_stands_in_the_lineage(here, store, generation):
    generation("tiny", "ft:1")
    generation("ft:1", "ft:2")
    store.models.delete("default", "ft:1")
    job = generation("ft:2", "ft:3")
    store.models.delete("default", "ft:2")
    assert rules.shape(here, job)["lineage"] == ["tiny", "ft:1", "ft:2"]


def test_a_job_tells_how_many_come_before_it(here, store, make_job):
    running, first, other, last, fresh = (make_job(status, project=project) for status, project in (
        ("running", "default"), ("queued", "default"), ("queued", "other"), ("queued", "default"), ("validating_files", "default")))

    def positions():
        return [rules.shape(here, store.jobs.current(job["id"]))["queue_position"] for job in (running, first, other, last, fresh)]
    assert positions() == [None, 2, 1, 3, None], "the running one counts, and projects take turns"
    store.jobs.move(first["id"], "cancelled")
    store.jobs.move(running["id"], "succeeded")
    assert positions() == [None, None, 0, 1, None]


def test_a_resumed_job_waits_at_the_end_of_the_queue(here, store, make_job, clock):
    first, second = make_job("queued"), make_job("queued")
    store.jobs.move(first["id"], "paused")
    clock.now += 1
    assert rules.resume(here, "default", first["id"])["queue_position"] == 1
    assert rules.shape(here, second)["queue_position"] == 0
    assert store.jobs.claim()["id"] == second["id"]


def test_files_are_ones_own_and_meant_for_training(check, make_file):
    for which in ("training_file", "validation_file"):
        for name, message in ((make_file(project="other")["id"], "does not exist"), ("file-x", "does not exist"),
                              (make_file(purpose="user_data")["id"], "with the purpose user_data, not fine-tune")):
            with pytest.raises(InvalidRequest, match=f"invalid {which}: {name} .*{message}") as refusal:
                check(**{which: name})
            assert refusal.value.param == which


@pytest.mark.parametrize("status", ["validating_files", "queued", "running", "paused"])
def test_a_job_that_has_not_ended_can_be_cancelled(here, make_job, messages, wakes, status):
    job = make_job(status)
    shown = rules.move(here, "default", job["id"], "cancelled", "The job was cancelled")
    assert shown["status"] == "cancelled" and shown["finished_at"] == int(here.clock())
    assert messages(job["id"])[-1] == "The job was cancelled"
    assert wakes == [False], "the worker is woken once, after the change is committed"


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
@pytest.mark.parametrize("wanted", ["cancelled", "paused"])
def test_a_job_that_ended_stays_as_it_is(here, make_job, messages, wakes, status, wanted):
    job = make_job(status)
    told = messages(job["id"])
    with pytest.raises(Conflict, match=f"is {status}: it cannot become {wanted}"):
        rules.move(here, "default", job["id"], wanted, "x")
    assert messages(job["id"]) == told and wakes == []


def test_a_job_of_another_project_does_not_exist(here, make_job):
    job = make_job(project="other")
    for call in (lambda: rules.move(here, "default", job["id"], "cancelled", "x"), lambda: rules.resume(here, "default", job["id"])):
        with pytest.raises(NotFound):
            call()
    assert here.store.jobs.get("other", job["id"])["status"] == "validating_files"


def test_a_resumed_job_goes_back_to_where_it_was(here, store, make_job):
    fresh, trained = make_job("paused"), make_job("running")
    store.jobs.move(trained["id"], "paused")
    assert rules.resume(here, "default", fresh["id"])["status"] == "validating_files"
    assert rules.resume(here, "default", trained["id"])["status"] == "queued"


@pytest.mark.parametrize("status", ["validating_files", "queued", "running", "succeeded", "failed", "cancelled"])
def test_only_a_paused_job_can_be_resumed(here, store, make_job, status):
    job = make_job(status)
    with pytest.raises(Conflict, match=f"is {status}"):
        rules.resume(here, "default", job["id"])
    after = store.jobs.get("default", job["id"])
    assert (after["status"], after["claim"]) == (status, job["claim"]), "its training is not disturbed"


def test_pausing_twice_with_a_resumption_between_is_told_twice(here, make_job, messages):
    job = make_job("queued")
    for _ in range(2):
        rules.move(here, "default", job["id"], "paused", "The job was paused")
        rules.resume(here, "default", job["id"])
    assert messages(job["id"])[-4:] == ["The job was paused", "The job was resumed"] * 2


@pytest.mark.parametrize(("query", "pairs"), [
    ({}, None), ({"limit": "2"}, None), ({"metadata": "null"}, {}), ({"metadata[a]": "1", "metadata[b c]": "", "after": "x"}, {"a": "1", "b c": ""}),
    ({"metadata[open": "1"}, None)])
def test_a_list_is_filtered_by_metadata(query, pairs):
    assert rules.metadata_filter(query) == pairs


@pytest.mark.parametrize("status", ["validating_files", "queued", "running", "succeeded", "failed", "cancelled"])
def test_a_job_is_shown_in_the_clients_own_shape(here, make_job, status):
    shown = rules.shape(here, make_job(status, suffix="s", metadata={"a": "b"}))
    parsed = FineTuningJob.model_validate(shown)
    assert parsed.status == status and parsed.metadata == {"a": "b"} and parsed.object == "fine_tuning.job"
    resolved = status in ("queued", "running", "succeeded")
    assert parsed.hyperparameters.n_epochs == (1 if resolved else "auto")
    assert parsed.method.supervised.hyperparameters.batch_size == 5


def test_the_finish_is_estimated_from_the_pace_so_far(here, store, make_job, clock):
    job = make_job("running")
    assert rules.shape(here, job)["estimated_finish"] is None, "nothing is known before the first step"
    store.steps.add(job["id"], 5, {"step": 5, "total_steps": 20})
    clock.now += 10
    assert rules.shape(here, job)["estimated_finish"] == int(clock.now) + 30
    assert rules.shape(here, store.jobs.move(job["id"], "paused"))["estimated_finish"] is None


def test_the_organization_is_that_of_the_settings(here, make_job):
    other = dataclasses.replace(here, settings=dataclasses.replace(here.settings, organization="school"))
    assert rules.shape(other, make_job())["organization_id"] == "school"
