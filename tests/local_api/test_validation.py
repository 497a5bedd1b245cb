"""The first leg of a job: queued with numbers, or failed with a reason that names file, example and line."""

import json

import pytest

from local_api.engines.protocols import EngineError
from local_api.worker.validation import validate_job


@pytest.fixture
def validated(store, engine, messages):
    """The job's row after its validation."""
    def run(job):
        validate_job(store, engine, job)
        return store.jobs.get("default", job["id"])
    return run


def error_of(job):
    return json.loads(job["error"])


def test_right_files_queue_the_job_with_numbers_for_auto(validated, make_job, make_file, messages, rows):
    valid = make_file(rows(1))
    job = validated(make_job(validation_file=valid["id"], validation_sha256=valid["sha256"]))
    assert job["status"] == "queued" and job["error"] is None and job["queued_at"] is not None
    assert json.loads(job["resolved"]) == {"n_epochs": 25, "batch_size": 5, "learning_rate_multiplier": 0.1, "beta": 0.1,
                                           "prompt_loss_weight": 0.0}
    assert messages(job["id"])[1:] == [f"Validating training file: {job['training_file']} and validation file: {valid['id']}",
                                       "Files validated, moving job to queued state"]


def test_a_validation_that_is_repeated_after_a_crash_is_told_once(store, engine, validated, make_job, messages):
    job = make_job()
    store.events.add(job["id"], "validating", f"Validating training file: {job['training_file']}")
    told = messages(validated(job)["id"])
    assert len(told) == len(set(told)) == 3


@pytest.mark.parametrize(("overrides", "code", "message"), [
    ({"completion": ""}, "invalid_training_file", "Example 1 (line 1): completion is empty"),
    ({"completion": "a b c d e f g"}, "invalid_training_file", "Example 1 (line 1) has 9 tokens, more than the 8 that tiny is trained on"),
])
def test_a_wrong_training_file_fails_the_job(validated, make_job, rows, messages, overrides, code, message):
    job = validated(make_job(content=rows(10, **overrides)))
    assert job["status"] == "failed" and job["finished_at"] is not None
    assert error_of(job)["code"] == code and error_of(job)["param"] == "training_file" and message in error_of(job)["message"]
    assert messages(job["id"])[-1] == f"The job failed: {error_of(job)['message']}"


def test_nine_examples_are_too_few_to_train_and_one_is_enough_to_validate(validated, make_job, make_file, rows):
    assert error_of(validated(make_job(content=rows(9))))["code"] == "invalid_n_examples"
    one = make_file(rows(1))
    assert validated(make_job(validation_file=one["id"], validation_sha256=one["sha256"]))["status"] == "queued"


def test_the_validation_file_is_named_when_it_is_the_one_at_fault(validated, make_job, make_file, rows):
    bad = make_file(rows(2, completion="a b c d e f g"))
    error = error_of(validated(make_job(validation_file=bad["id"], validation_sha256=bad["sha256"])))
    assert error["code"] == "invalid_validation_file" and error["param"] == "validation_file"


def test_what_the_engine_cannot_count_is_told_with_its_line(validated, make_job, engine):
    def refuse(example):
        if example.line == 4:
            raise EngineError("no place for tool_calls")
    engine.words.before = refuse
    assert error_of(validated(make_job()))["message"] == "Example 4 (line 4): no place for tool_calls"


def test_an_engine_that_cannot_work_says_why_on_the_job(validated, make_job, engine, monkeypatch):
    def refuse(base_model):
        raise EngineError("the base model is not in the cache: run `make setup`")
    monkeypatch.setattr(engine, "tokenizer", refuse)
    assert "make setup" in error_of(validated(make_job()))["message"]


def test_a_job_for_a_base_model_of_another_engine_fails_with_advice(validated, make_job):
    error = error_of(validated(make_job(model="other", base_model="other")))
    assert "does not have the base model other" in error["message"] and "tiny" in error["message"]


@pytest.mark.parametrize("content", ["right", "wrong"])
@pytest.mark.parametrize("status", ["paused", "cancelled"])
def test_what_the_owner_does_during_validation_stands(store, engine, make_job, validated, messages, rows, status, content):
    job = make_job(content=rows(10) if content == "right" else rows(10, completion="a b c d e f g"))

    def interrupt(example):
        if example.line == 1:
            store.jobs.move(job["id"], status)
    engine.words.before = interrupt
    after = validated(job)
    assert after["status"] == status and after["error"] is None and after["resolved"] is None
    assert messages(job["id"])[-1].startswith("Validating training file")


def test_the_old_api_has_rules_of_its_own_for_what_is_left_open(validated, make_job):
    job = validated(make_job(api="fine-tunes", requested={"n_epochs": 4, "batch_size": "auto", "learning_rate_multiplier": "auto",
                                                          "prompt_loss_weight": 0.01}))
    assert json.loads(job["resolved"]) == {"n_epochs": 4, "batch_size": 1, "learning_rate_multiplier": 0.05, "beta": 0.1, "prompt_loss_weight": 0.01}


def test_the_queue_number_counts_the_jobs_that_come_before(store, validated, make_job):
    make_job("running")
    make_job("queued")
    make_job("succeeded")
    job = validated(make_job())
    last = store.events.page(job["id"], limit=1, after=None)[0][0]
    assert (last["key"], last["type"], json.loads(last["data"])) == (
        "validated", "message", {"queue_number": 2, "hyperparameters": {"n_epochs": 25, "batch_size": 5}})


@pytest.mark.parametrize(("wanted", "code"), [({"n_classes": 3}, "invalid_n_classes"), ({"n_classes": 2}, None),
                                              ({"positive_class": " x"}, "invalid_positive_class"), ({"positive_class": " c"}, None)])
def test_files_must_hold_the_classes_that_were_asked_for(validated, make_job, make_file, rows, wanted, code):
    valid = make_file(rows(1, completion=" c\n"))
    classification = {"n_classes": None, "positive_class": None, "betas": None, **wanted}
    job = validated(make_job(validation_file=valid["id"], validation_sha256=valid["sha256"], classification=classification))
    assert (error_of(job)["code"] if job["error"] else None) == code
    assert job["status"] == ("failed" if code else "queued")
    assert code is None or error_of(job)["param"] == "classification"
