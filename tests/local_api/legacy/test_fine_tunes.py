"""Fine-tunes of the old API: what may be asked for, and how jobs are shown."""

import json

import pytest

from local_api import jobs
from local_api.errors import ApiError, Conflict, InvalidRequest, ModelNotFound, NotFound
from local_api.legacy import fine_tunes as rules
from local_api.routes import fine_tunes as routes

TWO_CLASSES = {"compute_classification_metrics": True, "classification_positive_class": " yes"}


@pytest.fixture
def check(store, engine, make_file):
    """The columns for a request with overrides; `validation_file=True` makes one."""
    def check(**overrides):
        body = {"training_file": make_file()["id"], **overrides}
        if overrides.get("validation_file") is True:
            body["validation_file"] = make_file()["id"]
        return rules.check(body, store, engine, "default")
    return check


@pytest.fixture
def make(store, check):
    """A fine-tune's row."""
    return lambda **overrides: jobs.add(store, "default", check(**overrides), seed=1)


def test_a_plain_request_becomes_a_job_with_the_old_defaults(make):
    job = make()
    assert job["id"].startswith("ft-") and job["api"] == "fine-tunes" and job["method"] == "supervised"
    assert (job["model"], job["base_model"], job["classification"]) == ("curie", "tiny", None)
    assert json.loads(job["requested"]) == {"n_epochs": 4, "batch_size": "auto", "learning_rate_multiplier": "auto", "prompt_loss_weight": 0.01}


def test_what_is_asked_for_is_kept(make):
    job = make(model="ada", suffix="x" * 40, n_epochs=2, batch_size=7, learning_rate_multiplier=0.3, prompt_loss_weight=0, validation_file=True,
               **TWO_CLASSES, classification_betas=[0.5, 1.0])
    assert job["model"] == "ada" and job["suffix"] == "x" * 40 and job["validation_sha256"]
    assert json.loads(job["requested"]) == {"n_epochs": 2, "batch_size": 7, "learning_rate_multiplier": 0.3, "prompt_loss_weight": 0}
    assert json.loads(job["classification"]) == {"n_classes": None, "positive_class": " yes", "betas": [0.5, 1.0]}


def test_a_fine_tuned_model_may_be_trained_on(make, make_model):
    make_model("ada:ft-local-2026", adapter="a7")
    job = make(model="ada:ft-local-2026", suffix="")
    assert (job["base_model"], job["start_from"], job["suffix"]) == ("tiny", "a7", None)


@pytest.mark.parametrize(("body", "kind", "param"), [
    ({"training_file": "file-x"}, InvalidRequest, "training_file"),
    ({"validation_file": "file-x"}, InvalidRequest, "validation_file"),
    ({"model": "gpt-4"}, ModelNotFound, "model"),
    ({"suffix": "x" * 41}, InvalidRequest, "suffix"),
    ({"n_epochs": 0}, InvalidRequest, "n_epochs"),
    ({"batch_size": 257}, InvalidRequest, "batch_size"),
    ({"learning_rate_multiplier": 0}, InvalidRequest, "learning_rate_multiplier"),
    ({"prompt_loss_weight": -0.1}, InvalidRequest, "prompt_loss_weight"),
    ({"prompt_loss_weight": 1.1}, InvalidRequest, "prompt_loss_weight"),
    (TWO_CLASSES, InvalidRequest, "validation_file"),
    ({"compute_classification_metrics": True, "validation_file": True}, InvalidRequest, "classification_n_classes"),
    ({**TWO_CLASSES, "validation_file": True, "classification_n_classes": 3}, InvalidRequest, "classification_positive_class"),
    ({**TWO_CLASSES, "validation_file": True, "classification_betas": [0]}, InvalidRequest, "classification_betas"),
    ({"compute_classification_metrics": True, "classification_n_classes": 1, "validation_file": True}, InvalidRequest, "classification_n_classes"),
    ({"compute_classification_metrics": True, "classification_n_classes": 3, "classification_betas": [1], "validation_file": True},
     InvalidRequest, "classification_betas"),
    ({"classification_n_classes": 3, "validation_file": True}, InvalidRequest, "classification_n_classes"),
])
def test_what_cannot_be_trained_is_refused_naming_the_field(check, body, kind, param):
    with pytest.raises(kind) as refusal:
        check(**body)
    assert isinstance(refusal.value, ApiError) and refusal.value.param == param


def test_todays_api_takes_classification_as_a_field_of_its_own(store, engine, make_file):
    body = {"model": "tiny", "training_file": make_file()["id"], "validation_file": make_file()["id"], "classification": {"n_classes": 3}}
    job = jobs.add(store, "default", jobs.check(body, store, engine, "default"), seed=1)
    assert json.loads(job["classification"]) == {"n_classes": 3, "positive_class": None, "betas": None}
    for change, param in (({"validation_file": None}, "validation_file"), ({"classification": {}}, "classification.n_classes"),
                          ({"method": {"type": "dpo"}}, "classification")):
        with pytest.raises(InvalidRequest) as refusal:
            jobs.check(body | change, store, engine, "default")
        assert refusal.value.param == param


def test_a_new_fine_tune_is_shown_with_whole_files_and_open_numbers(here, make, clock):
    shown = rules.shape(here, make(model="ada", validation_file=True))
    assert (shown["object"], shown["status"], shown["model"], shown["fine_tuned_model"]) == ("fine-tune", "pending", "ada", None)
    assert shown["hyperparams"] == {"n_epochs": 4, "batch_size": None, "learning_rate_multiplier": None, "prompt_loss_weight": 0.01}
    assert [file["filename"] for file in shown["training_files"] + shown["validation_files"]] == ["train.jsonl"] * 2
    assert shown["result_files"] == [] and shown["created_at"] == shown["updated_at"] == int(clock.now)
    assert [event["message"] for event in shown["events"]] == [f"Created fine-tune: {shown['id']}"]
    assert "events" not in rules.shape(here, make(), events=False)


def test_it_is_updated_when_something_happens_to_it(here, store, make, clock):
    job = make()
    clock.now += 60
    store.events.add(job["id"], "started", "Fine-tuning job started")
    shown = rules.shape(here, job)
    assert shown["updated_at"] == shown["created_at"] + 60


def test_numbers_are_shown_once_they_are_known_and_classes_as_asked(here, store, make):
    job = make(validation_file=True, **TWO_CLASSES)
    job = store.jobs.move(job["id"], "queued", resolved={"n_epochs": 4, "batch_size": 1, "learning_rate_multiplier": 0.05, "prompt_loss_weight": 0.01})
    assert rules.hyperparams(job) == {
        "n_epochs": 4, "batch_size": 1, "learning_rate_multiplier": 0.05, "prompt_loss_weight": 0.01, "compute_classification_metrics": True,
        "classification_n_classes": None, "classification_positive_class": " yes", "classification_betas": None}


@pytest.mark.parametrize(("status", "shown"), [("validating_files", "pending"), ("queued", "pending"), ("paused", "pending"),
                                               ("running", "running"), ("failed", "failed"), ("cancelled", "cancelled")])
def test_statuses_have_their_old_names(here, make_job, status, shown):
    assert rules.shape(here, make_job(status), events=False)["status"] == shown


def test_a_job_of_todays_api_is_shown_too_and_one_that_learns_preferences_is_not(here, store, make_job):
    assert rules.shape(here, make_job("queued"))["hyperparams"]["prompt_loss_weight"] is None
    dpo = make_job(method="dpo")
    with pytest.raises(NotFound, match="with the method dpo"):
        rules.find(here, "default", dpo["id"])
    assert dpo["id"] not in {job["id"] for job in store.jobs.supervised("default")}


def test_todays_api_shows_a_fine_tune_with_its_own_hyperparameters_alone(here, make):
    assert set(jobs.shape(here, make())["hyperparameters"]) == {"n_epochs", "batch_size", "learning_rate_multiplier"}


def test_of_a_deleted_file_the_id_is_left(here, store, make):
    job = make()
    store.files.delete("default", job["training_file"])
    assert [(file["id"], file["status"]) for file in rules.shape(here, job)["training_files"]] == [(job["training_file"], "deleted")]


def test_what_is_deleted_is_seen_no_more_in_either_api(here, store, make_job, make_model):
    job = make_job("succeeded")
    make_model("ft:kept", job_id=job["id"])
    store.jobs.delete("default", job["id"])
    for look in (rules.find, lambda here, project, name: store.jobs.get(project, name)):
        with pytest.raises(NotFound):
            look(here, "default", job["id"])
    assert store.jobs.page("default", metadata=None, limit=9, after=None)[0] == [] == store.jobs.supervised("default")
    assert store.models.get("default", "ft:kept") and store.files.get("default", job["training_file"])


@pytest.mark.parametrize("status", ["validating_files", "queued", "running", "paused"])
def test_what_has_not_ended_is_not_deleted(store, make_job, status):
    job = make_job(status)
    with pytest.raises(Conflict, match="cancel it before you delete it"):
        store.jobs.delete("default", job["id"])
    with pytest.raises(NotFound):
        store.jobs.delete("other", job["id"])


class Caller:
    """A request whose client leaves after so many questions whether it has."""

    def __init__(self, patience=10**9):
        self.patience = patience

    async def is_disconnected(self):
        self.patience -= 1
        return self.patience < 0


@pytest.fixture
def quick(monkeypatch):
    """Pauses between two looks that call `meanwhile` instead of waiting."""
    def quick(*meanwhile):
        turns = iter(meanwhile)

        async def sleep(seconds):
            next(turns)()
        monkeypatch.setattr(routes.asyncio, "sleep", sleep)
    return quick


def followed(here, job, caller):
    """Every chunk of a stream."""
    import asyncio

    async def collect():
        return [chunk["message"] if chunk else None async for chunk in routes.follow(caller, here, job)]
    return asyncio.run(collect())


def test_a_stream_tells_what_comes_and_ends_with_the_job(here, store, make_job, quick):
    job = make_job("queued")
    quick(lambda: store.events.add(job["id"], "started", "Fine-tuning job started"), lambda: None,
          lambda: jobs.move(here, "default", job["id"], "cancelled", "The job was cancelled"))
    assert followed(here, job, Caller()) == [f"Created fine-tune: {job['id']}", "Fine-tune started", "Fine-tune cancelled"]


def test_a_stream_outlives_the_deletion_of_its_job(here, store, make_job, quick):
    job = make_job("queued")

    def cancel_and_delete():
        jobs.move(here, "default", job["id"], "cancelled", "The job was cancelled")
        store.jobs.delete("default", job["id"])
    quick(cancel_and_delete)
    assert followed(here, job, Caller())[-1] == "Fine-tune cancelled"


def test_a_stream_ends_when_its_client_leaves(here, make_job, quick):
    quick(lambda: None, lambda: None)
    assert followed(here, make_job("queued"), Caller(patience=2)) == [f"Created fine-tune: {here.store.jobs.supervised('default')[0]['id']}"]


def test_a_silent_stream_gives_a_sign_of_life(here, make_job, quick, monkeypatch):
    monkeypatch.setattr(routes, "SIGN_OF_LIFE_SECONDS", 2 * routes.POLL_SECONDS)
    quick(*[lambda: None] * 5)
    assert followed(here, make_job("queued"), Caller(patience=5))[1:] == [None, None]
