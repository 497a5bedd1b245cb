"""Uploading rows, following and ending a job, against a scripted API."""

import json

import httpx2
import openai
import pandas as pd
import pytest

from helpers import jobs
from helpers.errors import FormatError, JobFailed
from helpers.jobs import cancel, events, follow, upload, wait

ROWS = [{"prompt": "é", "completion": " b\n"}]


@pytest.fixture
def uploaded(client_of):
    """A client, and the uploads that it made. `statuses` are what the API says of the file, look by look."""
    def make(*statuses, **facts):
        seen, looks = [], iter(statuses)

        def handler(request):
            if request.method == "POST":
                seen.append(request.read())
            return httpx2.Response(200, json={"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "x",
                                              "purpose": "fine-tune", "status": next(looks), **facts})
        return client_of(handler), seen
    return make


@pytest.mark.parametrize("rows", [ROWS, pd.DataFrame(ROWS), iter(ROWS)])
def test_rows_are_uploaded_as_jsonl(uploaded, rows):
    client, seen = uploaded("processed")
    assert upload(client, rows).id == "file-1"
    assert '{"prompt": "é", "completion": " b\\n"}\n'.encode() in seen[0] and b'filename="training.jsonl"' in seen[0]


def test_a_file_is_uploaded_as_it_is_under_its_name(uploaded, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"\xff anything")
    client, seen = uploaded("processed", "processed")
    upload(client, path)
    upload(client, str(path), name="other.jsonl")
    assert b"\xff anything" in seen[0] and b'filename="mine.jsonl"' in seen[0] and b'filename="other.jsonl"' in seen[1]


def test_upload_waits_until_the_file_is_processed(uploaded):
    client, _ = uploaded("uploaded", "uploaded", "processed")
    assert upload(client, ROWS).status == "processed"


def test_a_file_that_the_api_refuses_is_an_error_with_its_reason(uploaded):
    client, _ = uploaded("error", status_details="line 1 is bad")
    with pytest.raises(FormatError, match=r"training.jsonl was refused: line 1 is bad"):
        upload(client, ROWS)


@pytest.mark.parametrize("page", [1, 3, 7, 100])
def test_events_come_oldest_first_whatever_the_page_size(client_of, scripted_job, whole_job, page):
    job = scripted_job(whole_job, page=page)
    job.looks = len(whole_job) - 1
    assert [event.id for event in events(client_of(job), "ftjob-1")] == [
        event["id"] for _, told in whole_job for event in told]


@pytest.mark.parametrize("page", [1, 3, 100])
def test_following_neither_loses_nor_doubles_an_event(client_of, scripted_job, whole_job, monkeypatch, page):
    shown = []

    class Recorder:
        def update(self, job, fresh):
            shown.extend(event.id for event in fresh)

        def close(self):
            shown.append("closed")

    monkeypatch.setattr(jobs, "monitor", lambda job_id: Recorder())
    job = follow(client_of(scripted_job(whole_job, page=page)), "ftjob-1", poll=0)
    assert shown == [*(event["id"] for _, told in whole_job for event in told), "closed"]
    assert job.status == "succeeded" and job.fine_tuned_model == "ft:base:o::1"


def test_following_without_a_page_prints_at_most_a_dozen_lines(client_of, scripted_job, whole_job, capsys):
    follow(client_of(scripted_job(whole_job)), "ftjob-1", poll=0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 12
    assert lines[0].split() == ["0:00", "Created", "fine-tuning", "job:", "ftjob-1"]
    assert "  0:10  step 10/40, loss 0.20, accuracy 0.91, about 0:30 left" in lines
    assert "  0:40  step 40/40, loss 0.05, accuracy 0.98" in lines
    assert lines[-1] == "  0:41  The job has successfully completed"


@pytest.mark.parametrize("look", [wait, follow])
def test_a_failed_job_is_an_error_with_code_message_and_param(client_of, scripted_job, look):
    reason = {"code": "invalid_n_examples", "message": "Training file has 7 example(s)", "param": "training_file"}
    job = scripted_job([("running", []), ("failed", [])], error=reason)
    with pytest.raises(JobFailed, match=r"ftjob-1 failed: invalid_n_examples \(training_file\): Training file has 7") as caught:
        look(client_of(job), "ftjob-1", poll=0)
    assert (caught.value.code, caught.value.message, caught.value.param) == tuple(reason.values())


def test_a_cancelled_job_is_returned_as_it_is(client_of, scripted_job, capsys):
    client = client_of(scripted_job([("running", []), ("cancelled", [])]))
    assert follow(client, "ftjob-1", poll=0).status == "cancelled"
    assert "The job is cancelled." in capsys.readouterr().out
    assert cancel(client, "ftjob-1").status == "cancelled"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), httpx2.ConnectError("gone")])
def test_an_interruption_leaves_the_job_running_and_says_how_to_go_on(client_of, scripted_job, whole_job, error):
    job = scripted_job(whole_job)

    def handler(request):
        if len(job.requests) > 3:
            raise error
        return job(request)

    with pytest.raises((KeyboardInterrupt, openai.APIConnectionError)) as caught:
        follow(client_of(handler), "ftjob-1", poll=0)
    assert "follow(client, 'ftjob-1') shows it again" in caught.value.__notes__[0]
    assert not any(request.method == "POST" for request in job.requests)


def test_the_scripted_api_speaks_json_that_the_official_types_take(whole_job):
    # Guards the fixtures: an event that the client could not parse would make the tests above pass on nothing.
    for _, told in whole_job:
        for event in told:
            openai.types.fine_tuning.FineTuningJobEvent.model_validate(json.loads(json.dumps(event)))
