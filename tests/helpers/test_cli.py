"""The command line."""

import sys

import pytest
from typer.testing import CliRunner

from helpers import cli, server
from helpers.cli import app

run = CliRunner().invoke


@pytest.fixture
def hosted(monkeypatch, client_of):
    """Let the command line connect to a scripted API."""
    def use(handler):
        client = client_of(handler)
        monkeypatch.setattr("helpers.client.connect", lambda announce: client)
    return use


@pytest.mark.parametrize("arguments", [[], ["serve"], ["status"], ["stop"], ["fine-tunes"], ["fine-tunes", "list"],
                                       ["fine-tunes", "get"], ["fine-tunes", "follow"], ["fine-tunes", "cancel"]])
def test_every_command_has_help(arguments):
    result = run(app, [*arguments, "--help"])
    assert result.exit_code == 0 and "Usage: " in result.output


def test_serve_becomes_the_server_with_its_options(monkeypatch, tmp_path):
    became = []
    monkeypatch.setattr("os.execv", lambda path, arguments: became.append(arguments))
    monkeypatch.chdir(tmp_path)
    assert run(app, ["serve", "--engine", "mock", "--port", "0", "--data-dir", "here"]).exit_code == 0
    assert run(app, ["serve"]).exit_code == 0
    first, second = became
    assert first == [sys.executable, "-m", "local_api", "--data-dir", str(tmp_path / "here"), "--port", "0", "--host",
                     "127.0.0.1", "--engine", "mock"]
    assert "--engine" not in second and str(server.data_dir()) in second


def test_status_and_stop_say_what_they_found(local_server):
    result = run(app, ["status"])
    assert result.exit_code == 1 and "Start it with: cookbook serve" in result.output
    assert "does not run" in run(app, ["stop"]).output
    server.start_server(engine="mock")
    result = run(app, ["status"])
    assert result.exit_code == 0 and "engine mock, base model tiny, 0 jobs in the queue" in result.output
    assert run(app, ["stop"]).output == "Stopped.\n" and server.server_status() is None


def test_jobs_are_listed_shown_and_cancelled(hosted, scripted_job, whole_job):
    job = scripted_job(whole_job)

    def handler(request):
        import httpx2
        if request.url.path.endswith("/jobs"):
            return httpx2.Response(200, json={"object": "list", "data": [job.job("succeeded")], "has_more": False})
        return job(request)

    hosted(handler)
    assert "ftjob-1" in (listed := run(app, ["fine-tunes", "list"]).output) and "ft:base:o::1" in listed
    assert '"status": "validating_files"' in run(app, ["fine-tunes", "get", "ftjob-1"]).output
    assert run(app, ["fine-tunes", "cancel", "ftjob-1"]).output == "ftjob-1: cancelled\n"


def test_following_ends_on_the_models_name(hosted, scripted_job, whole_job, monkeypatch):
    monkeypatch.setattr("helpers.jobs.time.sleep", lambda seconds: None)
    hosted(scripted_job(whole_job))
    assert run(app, ["fine-tunes", "follow", "ftjob-1"]).output.splitlines()[-2:] == [
        "Model: ft:base:o::1", "Try it: cookbook completions create -m ft:base:o::1 -p YOUR_PROMPT"]


def test_an_interrupted_follow_says_how_to_go_on(hosted, monkeypatch):
    def interrupted(client, job_id, **options):
        raise KeyboardInterrupt

    hosted(None)
    monkeypatch.setattr("helpers.jobs.follow", interrupted)
    result = run(app, ["fine-tunes", "follow", "ftjob-1"])
    assert result.exit_code == 130 and "cookbook fine-tunes cancel ftjob-1" in result.output


def test_what_people_can_put_right_is_a_sentence_and_not_a_traceback(hosted, scripted_job, monkeypatch, capsys):
    reason = {"code": "c", "message": "too few examples", "param": None}
    hosted(scripted_job([("failed", [])], error=reason))
    monkeypatch.setattr("sys.argv", ["cookbook", "fine-tunes", "follow", "ftjob-1"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1 and capsys.readouterr().err == "Error: ftjob-1 failed: c: too few examples\n"
