"""The API of 2021, through the command line and the client that people had then: `openai` 0.28.1, in a process of its own."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx2
import openai
import pytest

LEGACY = Path(__file__).resolve().parents[2] / ".venv" / "legacy-client"
MOCK_ALONE = pytest.mark.parametrize("server", ["mock"], indirect=True)  # what does not depend on the engine
STORY = ["Created fine-tune: ft-", "Fine-tune enqueued. Queue number: 0", "Fine-tune started", "Completed epoch 1/1",
         "Uploaded model: ada:ft-local:custom-model-name-", "Uploaded result file: file-", "Fine-tune succeeded"]
NAME = r"ada:ft-local:custom-model-name-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"
PROMPT = "cherry number 2\n\n###\n\n"
# Most people had the client without its extra `datalib`, and so without two packages that take half of its start.
WITHOUT_DATALIB = ("import runpy, sys; sys.modules.update(numpy=None, pandas=None); del sys.argv[0]; "
                   "runpy.run_path(sys.argv[0], run_name='__main__')")


@pytest.fixture(scope="session")
def legacy():
    """Runs `openai ...` of 0.28.1 against a server: `legacy(server, "api", "models.list")`."""
    script = LEGACY / "bin" / "openai"
    if not script.exists():
        pytest.fail(f"{LEGACY} has no openai 0.28.1: `make setup` installs it there", pytrace=False)

    def run(server, *arguments, folder=None, answers="", status=0):
        start = [] if "tools" in arguments else ["-c", WITHOUT_DATALIB]
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        ran = subprocess.run([sys.executable, *start, str(script), "-b", f"{server.url}/v1", "-k", server.key, *arguments],
                             env={**environment, "PYTHONPATH": str(LEGACY), "PYTHONIOENCODING": "utf-8"}, cwd=folder, input=answers,
                             capture_output=True, text=True, encoding="utf-8", timeout=200, check=False)
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout if status == 0 else ran.stderr
    return run


@pytest.fixture(scope="session")
def tuned(legacy, server, tools, tmp_path_factory):
    """The guide's own command, followed to its end: what it said, and the fine-tune and the model that it named."""
    folder = tmp_path_factory.mktemp("guide")
    rows = tools.colour_rows(30)
    (folder / "train.jsonl").write_bytes(tools.jsonl(rows[:24]))
    (folder / "valid.jsonl").write_bytes(tools.jsonl(rows[24:]))
    said = legacy(server, *shlex.split('api fine_tunes.create -t train.jsonl -v valid.jsonl -m ada --suffix "custom model name" --n_epochs 1'),
                  "--compute_classification_metrics", "--classification_n_classes", "3", folder=folder)
    return SimpleNamespace(said=said, id=re.search(r"Created fine-tune: (ft-\w+)", said)[1], model=re.search(rf"-m ({NAME}) -p", said)[1],
                           folder=folder)


def call(server, method, path, **options):
    """A request without any client; its answer."""
    return httpx2.request(method, f"{server.url}/v1/{path}", headers={"authorization": f"Bearer {server.key}"}, timeout=60, **options)


def messages(text):
    return [line.split("] ", 1)[1] for line in text.splitlines() if re.match(r"\[\d{4}-", line)]


def test_creating_a_fine_tune_uploads_follows_and_names_the_model(tuned):
    assert len(re.findall(r"Uploaded file from (?:train|valid)\.jsonl: file-\w+", tuned.said)) == 2
    told = messages(tuned.said)
    assert len(told) == len(STORY) and all(message.startswith(start) for message, start in zip(told, STORY, strict=True))
    assert re.fullmatch(f"Uploaded model: {NAME}", told[4]) and "Job complete! Status: succeeded" in tuned.said


@MOCK_ALONE
def test_a_fine_tune_shows_its_defaults_its_files_whole_and_its_events(legacy, server, tuned):
    shown = json.loads(legacy(server, "api", "fine_tunes.get", "-i", tuned.id))
    assert (shown["object"], shown["model"], shown["status"], shown["fine_tuned_model"]) == ("fine-tune", "ada", "succeeded", tuned.model)
    assert shown["hyperparams"] == {
        "n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 0.05, "prompt_loss_weight": 0.01, "compute_classification_metrics": True,
        "classification_n_classes": 3, "classification_positive_class": None, "classification_betas": None}
    files = [(file["filename"], file["purpose"]) for kind in ("training_files", "validation_files", "result_files") for file in shown[kind]]
    assert files == [("train.jsonl", "fine-tune"), ("valid.jsonl", "fine-tune"), ("compiled_results.csv", "fine-tune-results")]
    assert [event["message"] for event in shown["events"]] == messages(tuned.said) and shown["updated_at"] >= shown["created_at"]


def test_results_have_the_columns_of_the_guide(legacy, server, tuned):
    rows = list(csv.DictReader(io.StringIO(legacy(server, "api", "fine_tunes.results", "-i", tuned.id))))
    assert list(rows[0]) == ["step", "elapsed_tokens", "elapsed_examples", "training_loss", "training_sequence_accuracy", "training_token_accuracy",
                             "validation_loss", "validation_sequence_accuracy", "validation_token_accuracy", "classification/accuracy",
                             "classification/weighted_precision", "classification/weighted_recall", "classification/weighted_f1_score"]
    assert [row["elapsed_examples"] for row in rows] == [str(number) for number in range(1, 25)]
    assert 0 <= float(rows[-1]["classification/accuracy"]) <= 1 and {row["classification/accuracy"] for row in rows[:-1]} == {""}
    assert rows[-1]["classification/weighted_recall"] == rows[-1]["classification/accuracy"], "which is what it always is"


def test_the_model_answers_and_the_prompt_is_repeated(legacy, server, tuned):
    answer = legacy(server, "api", "completions.create", "-m", tuned.model, "-p", PROMPT, "-M", "2", "-t", "0")
    assert answer.startswith(PROMPT) and len(answer) > len(PROMPT)
    assert legacy(server, "api", "completions.create", "-e", tuned.model, "-p", PROMPT, "-M", "2", "-t", "0", "--stream") == answer


def test_each_api_shows_the_jobs_and_models_of_the_other(client, server, job, tuned):
    old, new = client.fine_tuning.jobs.retrieve(tuned.id), call(server, "GET", f"fine-tunes/{job.id}").json()
    assert (old.status, old.fine_tuned_model, old.hyperparameters.batch_size) == ("succeeded", tuned.model, 1)
    assert (new["status"], new["fine_tuned_model"], new["hyperparams"]["batch_size"]) == ("succeeded", job.fine_tuned_model, 8)
    assert new["events"][-1]["message"] == "Fine-tune succeeded" and "Completed epoch 6/6" in [event["message"] for event in new["events"]]
    steps = [event for event in client.fine_tuning.jobs.list_events(tuned.id, limit=100) if event.type == "metrics"]
    assert steps[0].data["classification/accuracy"] is not None and len(steps) == 24
    model = client.models.retrieve(tuned.model)
    assert (model.parent, model.root) == ("ada", client.models.list().data[0].id)


@MOCK_ALONE  # that the real engine measures classes, the guide's own command shows
def test_todays_api_takes_classification_as_an_extension(client, base, tools):
    train, valid = (tools.upload(client, tools.jsonl(rows)) for rows in (tools.colour_rows(24), tools.colour_rows(30)[24:]))
    created = client.fine_tuning.jobs.create(model=base, training_file=train.id, validation_file=valid.id, seed=3,
                                             hyperparameters={"n_epochs": 1}, extra_body={"classification": {"n_classes": 3}})
    ended = tools.finished(client, created.id)
    assert ended.status == "succeeded" and ended.classification == {"n_classes": 3, "positive_class": None, "betas": None}
    last = client.fine_tuning.jobs.checkpoints.list(ended.id).data[0].metrics
    assert 0 <= getattr(last, "classification/accuracy") <= 1


@MOCK_ALONE
def test_fine_tunes_are_listed_oldest_first_without_events(legacy, server, tuned):
    listed = json.loads(legacy(server, "api", "fine_tunes.list"))["data"]
    assert tuned.id in [entry["id"] for entry in listed] and not any("events" in entry for entry in listed)
    assert [entry["created_at"] for entry in listed] == sorted(entry["created_at"] for entry in listed)


@MOCK_ALONE
def test_a_fine_tune_that_has_ended_is_followed_to_its_end(legacy, server, tuned):
    followed = legacy(server, "api", "fine_tunes.follow", "-i", tuned.id)
    assert messages(followed) == messages(tuned.said) and "Job complete! Status: succeeded" in followed
    events = json.loads(legacy(server, "api", "fine_tunes.events", "-i", tuned.id))["data"]
    assert [event["message"] for event in events] == messages(tuned.said)


@MOCK_ALONE
def test_files_and_models_are_managed_as_then(legacy, server, tuned, tools):
    (tuned.folder / "more.jsonl").write_bytes(tools.jsonl(tools.colour_rows(18)))
    made = json.loads(legacy(server, "api", "files.create", "-f", "more.jsonl", "-p", "fine-tune", folder=tuned.folder))
    assert json.loads(legacy(server, "api", "files.get", "-i", made["id"]))["filename"] == "more.jsonl"
    assert made["id"] in legacy(server, "api", "files.list")
    assert json.loads(legacy(server, "api", "files.delete", "-i", made["id"]))["deleted"]
    models = json.loads(legacy(server, "api", "models.list"))["data"]
    old = [model for model in models if model["id"] in ("ada", "babbage", "curie", "davinci")]
    assert len(old) == 4 and {model["root"] for model in old} == {models[0]["id"]} != {"ada"}
    assert json.loads(legacy(server, "api", "models.get", "-i", "curie"))["owned_by"] == "local-api-mock"


@MOCK_ALONE
def test_a_file_that_is_there_already_may_be_used_again(legacy, server, tuned):
    known = call(server, "GET", f"fine-tunes/{tuned.id}").json()["training_files"][0]["id"]
    said = legacy(server, "api", "fine_tunes.create", "-t", "train.jsonl", "--n_epochs", "1", folder=tuned.folder, answers=f"{known}\n")
    assert "Found potentially duplicated files with name 'train.jsonl'" in said and f"Reusing already uploaded file: {known}" in said
    assert re.search(r"Uploaded model: curie:ft-local-\d{4}-", said), "the default model, and no suffix"


@MOCK_ALONE
def test_a_fine_tune_goes_on_from_a_fine_tuned_model_and_from_a_checkpoint(legacy, server, client, tuned):
    known = call(server, "GET", f"fine-tunes/{tuned.id}").json()["training_files"][0]["id"]
    checkpoint = client.fine_tuning.jobs.checkpoints.list(tuned.id).data[0].fine_tuned_model_checkpoint
    for start in (tuned.model, checkpoint):
        said = legacy(server, "api", "fine_tunes.create", "-t", known, "-m", start, "--suffix", "more", "--n_epochs", "1", folder=tuned.folder)
        identifier, made = re.search(r"Created fine-tune: (ft-\w+)", said)[1], re.search(r"Uploaded model: (ada:ft-local:more-[\d-]+)\n", said)[1]
        shown = json.loads(legacy(server, "api", "fine_tunes.get", "-i", identifier))
        assert (shown["model"], shown["fine_tuned_model"]) == (start, made), "the old kind of name, of the same old base model"
        rows = list(csv.DictReader(io.StringIO(legacy(server, "api", "fine_tunes.results", "-i", identifier))))
        assert rows[0]["training_token_accuracy"] == "1.00000", "it starts from what was learnt"
        assert client.models.retrieve(made).lineage == ["ada", start]


@MOCK_ALONE
def test_a_fine_tune_can_be_cancelled_and_then_deleted(legacy, server, tuned):
    known = call(server, "GET", f"fine-tunes/{tuned.id}").json()["training_files"][0]["id"]
    created = json.loads(legacy(server, "api", "fine_tunes.create", "-t", known, "--n_epochs", "50", "--no_follow"))
    call(server, "POST", f"fine_tuning/jobs/{created['id']}/pause").raise_for_status()
    assert "cancel it before you delete it" in legacy(server, "api", "fine_tunes.delete", "-i", created["id"], status=1)
    assert json.loads(legacy(server, "api", "fine_tunes.cancel", "-i", created["id"]))["status"] == "cancelled"
    assert messages(legacy(server, "api", "fine_tunes.follow", "-i", created["id"]))[-1] == "Fine-tune cancelled"
    assert json.loads(legacy(server, "api", "fine_tunes.delete", "-i", created["id"]))["deleted"]
    assert "Could not find" in legacy(server, "api", "fine_tunes.get", "-i", created["id"], status=1)


@MOCK_ALONE
def test_a_file_without_the_classes_asked_for_fails_with_the_reason(legacy, server, tuned):
    said = legacy(server, "api", "fine_tunes.create", "-t", "train.jsonl", "-v", "valid.jsonl", "--no_check_if_files_exist",
                  "--compute_classification_metrics", "--classification_positive_class", " red", folder=tuned.folder)
    assert "Job failed." in said and re.search(r"Fine-tune failed\. The files hold 3 different completions", said)


@MOCK_ALONE
def test_what_the_preparation_tool_recommends_runs_as_it_is_printed(legacy, server, tmp_path):
    rows = [{"prompt": f"match {number} was {('won by a pitcher', 'stopped by ice')[number % 2]}",
             "completion": ("baseball", "hockey")[number % 2]} for number in range(60)]
    (tmp_path / "sport.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    advice = legacy(server, "tools", "fine_tunes.prepare_data", "-f", "sport.jsonl", "-q", folder=tmp_path)
    command = shlex.split(re.search(r"^> openai (api fine_tunes\.create .*)$", advice, flags=re.MULTILINE)[1])
    assert command[command.index("-v") + 1] == "sport_prepared_valid.jsonl" and "--classification_positive_class" in command
    said = legacy(server, *command, "-m", "ada", "--classification_betas", "0.5", "1", folder=tmp_path)
    identifier = re.search(r"Created fine-tune: (ft-\w+)", said)[1]
    last = list(csv.DictReader(io.StringIO(legacy(server, "api", "fine_tunes.results", "-i", identifier))))[-1]
    figures = {name.removeprefix("classification/"): float(value) for name, value in last.items() if name.startswith("classification/")}
    assert figures == dict.fromkeys(("accuracy", "precision", "recall", "auroc", "auprc", "f0.5", "f1.0"), 1.0), "two words tell all"


def test_events_are_streamed_while_the_job_runs(make_server, tools):
    server = make_server(environment={"LOCAL_API_MOCK_STEP_SECONDS": "0.1"}).start()
    client = server.client()
    file = tools.upload(client, tools.jsonl(tools.colour_rows(40)))
    created = call(server, "POST", "fine-tunes", json={"training_file": file.id, "n_epochs": 50}).json()
    told, path = [], f"{server.url}/v1/fine-tunes/{created['id']}/events?stream=true"
    with httpx2.stream("GET", path, headers={"authorization": f"Bearer {client.api_key}"}, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            told += [line] if line.startswith("data:") else []
            if "Completed epoch 1/50" in line:
                assert call(server, "GET", f"fine-tunes/{created['id']}").json()["status"] == "running"
                assert call(server, "POST", f"fine-tunes/{created['id']}/cancel").json()["status"] == "cancelled"
    assert json.loads(told[-2].removeprefix("data: "))["message"] == "Fine-tune cancelled" and told[-1] == "data: [DONE]"


@pytest.fixture
def curl(server):
    """Runs a curl line of the guide, key and address filled in; its answer. Without curl the same bytes go another way."""
    def run(*arguments):
        url = arguments[-1].replace("https://api.openai.com", server.url)
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", *arguments[:-1], "-H", f"Authorization: Bearer {server.key}", url]
        try:
            return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=True).stdout
        except FileNotFoundError:
            return same_bytes(server, arguments[:-1], url)
    return run


def same_bytes(server, options, url):
    """What curl would send for -X, -d and -F."""
    given = list(zip(options[::2], options[1::2], strict=True))
    fields = dict(value.split("=", 1) for name, value in given if name == "-F")
    paths = {name: Path(value[1:]) for name, value in fields.items() if value.startswith("@")}
    files = {name: (path.name, path.read_bytes()) for name, path in paths.items()}
    body = "".join(value for name, value in given if name == "-d") or None
    method = next((value for name, value in given if name == "-X"), "POST" if body or fields else "GET")
    return call(server, method, url.removeprefix(f"{server.url}/v1/"), content=body, files=files or None,
                data={name: value for name, value in fields.items() if name not in files} or None).text


@MOCK_ALONE
def test_the_guides_curl_lines(curl, server, client, tuned, tools):
    api, as_json = "https://api.openai.com/v1", ("-H", "Content-Type: application/json")
    file = json.loads(curl("-F", "purpose=fine-tune", "-F", f"file=@{tuned.folder / 'train.jsonl'}", f"{api}/files"))
    made = json.loads(curl(*as_json, "-X", "POST", "-d", json.dumps({"training_file": file["id"], "model": "davinci", "suffix": "by curl"}), f"{api}/fine-tunes"))
    assert made["object"] == "fine-tune" and made["model"] == "davinci"
    stream = curl(f"{api}/fine-tunes/{made['id']}/events?stream=true")
    assert stream.endswith("data: [DONE]\n\n")
    shown = json.loads(curl(f"{api}/fine-tunes/{made['id']}"))
    assert shown["hyperparams"]["n_epochs"] == 4 and shown["fine_tuned_model"].startswith("davinci:ft-local:by-curl-")
    answer = json.loads(curl(*as_json, "-d", json.dumps({"prompt": PROMPT, "max_tokens": 1, "temperature": 0, "model": shown["fine_tuned_model"]}),
                             f"{api}/completions"))
    assert answer["choices"][0]["text"] == " red"
    assert json.loads(curl("-X", "DELETE", f"{api}/models/{shown['fine_tuned_model']}"))["deleted"]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(shown["fine_tuned_model"])


@MOCK_ALONE
@pytest.mark.parametrize(("method", "path", "body", "status", "param"), [
    ("POST", "fine-tunes", {"training_file": "file-x"}, 400, "training_file"),
    ("POST", "fine-tunes", {"training_file": "file-x", "epochs": 3}, 400, "epochs"),
    ("POST", "fine-tunes", {"training_file": "file-x", "n_epochs": "3"}, 400, "n_epochs"),
    ("POST", "fine-tunes", {}, 400, "training_file"),
    ("GET", "fine-tunes/ft-x", None, 404, "fine_tuning_job_id"),
    ("GET", "fine-tunes/ft-x/events?stream=true", None, 404, "fine_tuning_job_id"),
    ("POST", "fine-tunes/ft-x/cancel", None, 404, "fine_tuning_job_id"),
    ("DELETE", "fine-tunes/ft-x", None, 404, "fine_tuning_job_id"),
    ("POST", "engines/ada/completions", {"model": "curie"}, 400, "model"),
    ("POST", "engines/nobody/completions", {"prompt": "x"}, 404, "model"),
    ("DELETE", "models/ada", None, 403, "model"),
])
def test_what_cannot_be_done_is_refused_in_the_envelope(server, method, path, body, status, param):
    answer = call(server, method, path, json=body)
    assert answer.status_code == status and answer.json()["error"]["param"] == param
