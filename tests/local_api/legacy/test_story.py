"""Events in the words of the old API."""

import json

import pytest

from local_api.legacy.story import Story

RESULT = {"fine_tuned_model": "ada:ft-x", "result_file": "file-r"}


@pytest.fixture
def told(store):
    """What a story tells of a job's events, oldest first."""
    def told(job, story=None, since=0):
        return [event["message"] for event in (story or Story()).tell(store.events.since(job["id"], since), store.jobs.current(job["id"]))]
    return told


def test_a_job_from_its_beginning_to_its_end(store, make_job, told):
    job = make_job("running")
    tell = lambda key, message, **more: store.events.add(job["id"], key, message, **more)  # noqa: E731
    tell("validating", "Validating training file: x")
    tell("validated", "Files validated", data={"queue_number": 3})
    tell("started", "Fine-tuning job started")
    tell("step-1", "Step 1/1", type="metrics", data={"step": 1})
    tell("checkpoint-1", "Checkpoint created")
    tell("model", "New fine-tuned model created")
    store.jobs.move(job["id"], "succeeded", **RESULT)
    tell("succeeded", "The job has successfully completed")
    assert told(job) == [f"Created fine-tune: {job['id']}", "Fine-tune enqueued. Queue number: 3", "Fine-tune started", "Completed epoch 1/1",
                         "Uploaded model: ada:ft-x", "Uploaded result file: file-r", "Fine-tune succeeded"]


def test_epochs_are_counted_over_several_readings(store, make_job, told):
    job, story = make_job("running"), Story()
    told(job, story)
    for step in (5, 10):
        last = store.events.page(job["id"], limit=1, after=None)[0][0]["seq"]
        store.events.add(job["id"], f"checkpoint-{step}", "Checkpoint created")
        assert told(job, story, last) == [f"Completed epoch {step // 5}/1"]


def test_a_failure_says_why_and_a_cancellation_is_told(store, make_job, told):
    failed, cancelled = make_job("running"), make_job("running")
    store.jobs.move(failed["id"], "failed", error=json.loads('{"code": "c", "message": "Line 3 is wrong.", "param": null}'))
    store.events.add(failed["id"], "failed", "The job failed: Line 3 is wrong.", level="error")
    store.events.add(cancelled["id"], "cancelled-after-ftevent-7", "The job was cancelled")
    assert told(failed)[-1] == "Fine-tune failed. Line 3 is wrong." and told(cancelled)[-1] == "Fine-tune cancelled"
    assert Story().tell(store.events.since(failed["id"], 0), store.jobs.current(failed["id"]))[-1]["level"] == "error"


@pytest.mark.parametrize("key", ["paused-after-ftevent-7", "queued-after-ftevent-8", "again-abc"])
def test_what_the_old_api_had_no_words_for_is_told_in_todays(store, make_job, told, key):
    job = make_job("queued")
    store.events.add(job["id"], key, "Something new happened")
    assert told(job)[-1] == "Something new happened"
