"""`cookbook fine-tunes` and `cookbook completions`, against a scripted API behind the official client."""

import json

import httpx2
import pytest
from typer.testing import CliRunner

from helpers import cli, client
from helpers.cli import app
from helpers.commands import fine_tunes
from helpers.commands.completions import unescaped


class Api:
    """Files, one job that succeeds, completions that answer from a table; all requests are kept."""

    def __init__(self, job, answers=None):
        self.job, self.answers, self.requests = job, answers or {}, []

    def __call__(self, request):
        self.requests.append((request.method, request.url.path, request.content))
        if request.url.path.endswith("/files"):
            return httpx2.Response(200, json={"id": f"file-{len(self.sent('/files'))}", "object": "file", "bytes": 1, "created_at": 1,
                                              "filename": "a.jsonl", "purpose": "fine-tune", "status": "processed"})
        if request.url.path.endswith("/models"):
            return httpx2.Response(200, json={"object": "list", "data": [{"id": "base", "object": "model", "created": 1, "owned_by": "x"}]})
        if "/models/" in request.url.path:
            return httpx2.Response(200, json={"id": request.url.path.split("/")[-1], "object": "model", "deleted": True})
        if request.url.path.endswith("/completions"):
            return self.complete(json.loads(request.content))
        if request.url.path.endswith("/content"):
            return httpx2.Response(200, content=b"step,train_loss\n1,0.5\n")
        if request.url.path.endswith("/jobs") and request.method == "GET":
            return httpx2.Response(200, json={"object": "list", "data": [self.job.job("running")], "has_more": False})
        return self.job(request)

    def complete(self, body):
        text = self.answers.get(body["prompt"], body["prompt"].upper())
        return httpx2.Response(200, json={"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"], "choices": [
            {"index": n, "text": text, "finish_reason": "stop", "logprobs": None} for n in range(body.get("n", 1))]})

    def sent(self, path):
        return [json.loads(content) if path != "/files" else content for method, where, content in self.requests
                if where.endswith(path) and method == "POST"]


@pytest.fixture
def api(scripted_job, whole_job, client_of, monkeypatch):
    """The scripted API, to which every command connects."""
    made = Api(scripted_job(whole_job, result_files=["file-result"]))
    monkeypatch.setattr(client, "connect", lambda announce=True: client_of(made))
    monkeypatch.setattr(client, "base_model", lambda client: "base")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return made


@pytest.fixture
def run():
    return lambda *arguments, **options: CliRunner().invoke(app, list(map(str, arguments)), **options)


@pytest.fixture
def files(tmp_path):
    """A training file and a validation file of two classes."""
    rows = [{"prompt": f"{letter} ->", "completion": (" good", " bad")[n % 2]} for n, letter in enumerate("abcdefghijkl")]
    for name, some in (("t.jsonl", rows), ("v.jsonl", rows[:4])):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
    return tmp_path / "t.jsonl", tmp_path / "v.jsonl"


def test_create_uploads_both_files_sends_the_old_flags_and_follows(api, run, files):
    result = run("fine-tunes", "create", "-t", files[0], "-v", files[1], "--suffix", "mine", "--n_epochs", 2, "--batch-size", 4,
                 "--learning-rate-multiplier", 0.1, "--seed", 7)
    assert result.exit_code == 0, result.output
    assert api.sent("/jobs") == [{
        "model": "base", "training_file": "file-2", "validation_file": "file-1", "suffix": "mine", "seed": 7,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {
            "n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.1}}}}]
    assert result.stdout.endswith("Model: ft:base:o::1\n") and "step 40/40" in result.stdout


def test_create_takes_ids_of_files_and_can_leave_the_job_alone(api, run):
    result = run("fine-tunes", "create", "-t", "file-abc", "-m", "ft:base:o::0", "--method", "dpo", "--no-follow")
    assert (result.exit_code, result.stdout) == (0, "ftjob-1\n")
    assert api.sent("/jobs") == [{"model": "ft:base:o::0", "training_file": "file-abc",
                                  "method": {"type": "dpo", "dpo": {"hyperparameters": {}}}}]


@pytest.mark.parametrize(("options", "said"), [
    (["-t", "gone.jsonl"], "there is no file gone.jsonl"), (["-t", "file-1", "--prompt-loss-weight", "0.1"], "no such parameter"),
    (["-t", "file-1", "--compute-classification-metrics"], "needs a validation file"), (["-t", "file-1", "--n-epochs", "0"], "should be greater than")])
def test_what_cannot_be_is_said_before_anything_is_trained(api, run, options, said):
    result = run("fine-tunes", "create", *options)
    assert result.exit_code == 2 and said in " ".join(result.output.replace("│", " ").split())
    assert api.sent("/jobs") == []


def test_classification_metrics_are_computed_from_the_models_own_answers(api, run, files):
    api.answers = {"a ->": " good", "b ->": " b", "c ->": " bad", "d ->": " bad"}  # three of four right; one class is cut short
    result = run("fine-tunes", "create", "-t", files[0], "-v", files[1], "--compute-classification-metrics",
                 "--classification-n-classes", 2, "--classification-positive-class", " bad", "--classification-betas", 2)
    assert result.exit_code == 0, result.output
    lines = dict(line.split() for line in result.stdout.splitlines() if line.startswith("classification/"))
    assert lines == {"classification/accuracy": "0.750", "classification/macro_f1": "0.733", "classification/examples": "4",
                     "classification/precision": "0.667", "classification/recall": "1.000", "classification/f1.0": "0.800",
                     "classification/f2.0": "0.909"}
    assert {request["max_tokens"] for request in api.sent("/completions")} == {1}


def test_a_wrong_number_of_classes_and_an_unknown_positive_class_are_named(api, run, files):
    for options, said in ((("--classification-n-classes", 3), "has 2 classes (bad, good), not 3"),
                          (("--classification-positive-class", "x"), "has no 'x'")):
        result = run("fine-tunes", "create", "-t", files[0], "-v", files[1], "--compute-classification-metrics", *options)
        assert result.exit_code == 2 and said in " ".join(result.output.replace("│", " ").split())


def test_a_stream_that_broke_off_is_taken_up_without_losing_or_repeating_an_event(api, run, whole_job, client_of, monkeypatch):
    connections = []

    def connect(announce=True):
        connections.append(client_of(breaking))
        return connections[-1]

    def breaking(request):
        if len(api.requests) in (3, 6, 7):  # between a job and its events, and twice in a row
            api.requests.append(("", "", b""))
            raise httpx2.ConnectError("gone")
        return api(request)

    monkeypatch.setattr(client, "connect", connect)
    result = run("fine-tunes", "follow", "ftjob-1")
    assert result.exit_code == 0, result.output
    told = [line[8:] for line in result.stdout.splitlines()]
    steps = [line for line in told if line.startswith("step ")]
    assert len(connections) == 4 and steps == sorted(set(steps), key=steps.index) and steps[-1].startswith("step 40/40")
    assert [line for line in told if not line.startswith("step ")].count("Fine-tuning job started") == 1
    assert "The connection broke off" in result.stderr


def test_a_connection_that_stays_away_ends_in_a_sentence(client_of, monkeypatch, capsys):
    def gone(request):
        raise httpx2.ConnectError("gone")

    monkeypatch.setattr(client, "connect", lambda announce=True: client_of(gone))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("sys.argv", ["cookbook", "fine-tunes", "follow", "ftjob-1"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1 and "Error: Connection error" in capsys.readouterr().err


def test_jobs_are_listed_shown_cancelled_and_their_results_printed(api, run):
    assert "ftjob-1" in run("fine-tunes", "list").stdout
    assert json.loads(run("fine-tunes", "get", "-i", "ftjob-1").stdout)["id"] == "ftjob-1"
    assert run("fine-tunes", "cancel", "ftjob-1").stdout == "ftjob-1: cancelled\n"
    assert run("fine-tunes", "results", "ftjob-1").stdout == "step,train_loss\n1,0.5\n"
    assert run("fine-tunes", "get").exit_code == run("fine-tunes", "get", "a", "-i", "b").exit_code == 2


def test_a_model_is_deleted_after_a_question_by_its_name_or_its_jobs(api, run):
    assert run("fine-tunes", "delete", "ft:base:o::1", input="n\n").exit_code == 1
    assert [method for method, path, _ in api.requests if "/models/" in path] == []
    assert run("fine-tunes", "delete", "ft:base:o::1", input="y\n").stdout.endswith("ft:base:o::1: deleted\n")
    assert "has made no model" in run("fine-tunes", "delete", "ftjob-1", "-y").output


def test_completions_are_printed_and_their_options_sent(api, run):
    result = run("completions", "create", "-p", r"hello\n", "-e", "-M", 5, "-t", 0, "-n", 2, "--stop", r"\n", "--stop", "END")
    assert result.stdout == "--- 1\nHELLO\n\n--- 2\nHELLO\n\n"
    assert api.sent("/completions") == [{"model": "base", "prompt": "hello\n", "max_tokens": 5, "temperature": 0.0, "n": 2,
                                         "stop": ["\n", "END"]}]
    assert run("completions", "create", "-p", "-", input="from a pipe").stdout == "FROM A PIPE\n"


def test_only_escapes_that_are_some_are_replaced():
    assert unescaped(r"a\n\t\"b\" C:\dir é \u00e9") == 'a\n\t"b" C:\\dir é é'


def test_the_client_is_not_imported_by_what_does_not_need_it():
    import subprocess
    import sys

    code = "import sys; from helpers.cli import app; import helpers.commands.prepare_session; print('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_module_of_the_jobs_says_when_to_give_up():
    assert fine_tunes._reconnect(fine_tunes.RECONNECT_ATTEMPTS + 1) is None
