"""Fakes that the tests of the helpers share: a scripted API behind the official client, and a tiny local server."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import hypothesis
import matplotlib
import matplotlib.pyplot as plt
import openai
import pytest

from helpers import server

matplotlib.use("Agg")
# No test is failed for being slow: machines are shared.
# The same examples every time: a suite that fails now and then says nothing about a change. For new examples take derandomize away.
hypothesis.settings.register_profile("unhurried", deadline=None, derandomize=True)
hypothesis.settings.load_profile("unhurried")

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture
def client_of() -> Iterator[Callable[..., openai.OpenAI]]:
    """A factory of official clients whose requests go to a function."""
    made = []

    def make(handler: Handler, url: str = "https://api.example.com/v1") -> openai.OpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(handler))
        made.append(openai.OpenAI(api_key="key", base_url=url, http_client=http, max_retries=0))
        return made[-1]

    yield make
    for client in made:
        client.close()


class ScriptedJob:
    """One fine-tuning job. Each look at it goes one step on in `script`: (status, the events told by then)."""

    def __init__(self, script: list[tuple[str, list[dict[str, Any]]]], *, page: int = 100, **facts: Any) -> None:
        self.script, self.page, self.facts = script, page, facts
        self.looks, self.requests = -1, []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.url.path.endswith("/events"):
            return self.events(request)
        if request.url.path.endswith("/cancel"):
            return httpx2.Response(200, json=self.job("cancelled"))
        self.looks = min(self.looks + 1, len(self.script) - 1)
        return httpx2.Response(200, json=self.job(self.script[self.looks][0]))

    def job(self, status: str) -> dict[str, Any]:
        return {"id": "ftjob-1", "object": "fine_tuning.job", "created_at": 100, "status": status, "model": "base",
                "training_file": "file-1", "organization_id": "o", "result_files": [], "hyperparameters": {}, "seed": 1,
                "finished_at": 160 if status in ("succeeded", "failed", "cancelled") else None,
                "fine_tuned_model": "ft:base:o::1" if status == "succeeded" else None, **self.facts}

    def events(self, request: httpx2.Request) -> httpx2.Response:
        newest_first = [event for _, events in self.script[: max(self.looks, 0) + 1] for event in events][::-1]
        ids = [event["id"] for event in newest_first]
        after = request.url.params.get("after")
        start = ids.index(after) + 1 if after else 0
        data = newest_first[start : start + self.page]
        more = start + self.page < len(newest_first)
        return httpx2.Response(200, json={"object": "list", "data": data, "has_more": more})


@pytest.fixture
def scripted_job() -> type[ScriptedJob]:
    return ScriptedJob


def message(number: int, text: str, at: int = 100) -> dict[str, Any]:
    return {"id": f"ftevent-{number}", "object": "fine_tuning.job.event", "created_at": at, "level": "info", "message": text,
            "type": "message", "data": None}


def step(number: int, total: int, at: int | None = None) -> dict[str, Any]:
    loss, accuracy = 2 / number, 1 - 1 / (number + 1)
    return {"id": f"ftevent-step-{number}", "object": "fine_tuning.job.event", "created_at": at or 100 + number,
            "level": "info", "message": f"Step {number}/{total}: training loss={loss:.2f}", "type": "metrics",
            "data": {"step": number, "total_steps": total, "train_loss": loss, "train_mean_token_accuracy": accuracy}}


@pytest.fixture
def whole_job() -> list[tuple[str, list[dict[str, Any]]]]:
    """The script of a job of 40 steps that succeeds."""
    return [
        ("validating_files", [message(1, "Created fine-tuning job: ftjob-1"), message(2, "Validating training file: file-1")]),
        ("queued", [message(3, "Files validated, moving job to queued state")]),
        ("running", [message(4, "Fine-tuning job started"), *(step(n, 40) for n in range(1, 15))]),
        ("running", [*(step(n, 40) for n in range(15, 41)),
                     message(5, "Checkpoint created at step 13 with Snapshot ID: ft:base:o::1:ckpt-step-13", 140)]),
        ("succeeded", [message(6, "New fine-tuned model created: ft:base:o::1", 141),
                       message(7, "The job has successfully completed", 141)]),
    ]


FAKE_SERVER = '''
import argparse, fcntl, http.server, json, os, pathlib, sys, time
options = argparse.ArgumentParser()
for name in ("--data-dir", "--port", "--idle-shutdown", "--engine"):
    options.add_argument(name)
options = options.parse_args()
folder = pathlib.Path(options.data_dir)
lock = open(folder / "lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("A server is already running")
    sys.exit(3)
if (folder / "broken").exists():
    print("first line"); sys.exit("no such model: nonsense")
with open(folder / "starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")
facts = {"status": "ok", "engine": options.engine or "mock", "base_model": "tiny", "version": "1", "queue_length": 0,
         "instance": f"token-{os.getpid()}"}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        models = {"object": "list", "data": [{"id": name, "object": "model", "created": 1, "owned_by": "x"}
                                             for name in ("ada:ft-x-2022", "ft:tiny:o::1", "tiny", "embedder")]}
        body = json.dumps(facts if self.path == "/health" else models).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
(folder / "api_key").write_text("sk-fake\\n")
time.sleep(0.2)  # long enough for a second kernel to come and find the lock taken
unfinished = folder / "unfinished"
unfinished.write_text(json.dumps({"url": f"http://127.0.0.1:{server.server_port}", "pid": os.getpid(),
                                  "instance": facts["instance"]}))
unfinished.replace(folder / "server.json")
server.serve_forever()
'''


@pytest.fixture
def local_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory whose server, when started, is a small fake that keeps the local API's promises to the helpers."""
    script, folder = tmp_path / "fake_server.py", tmp_path / "state"
    script.write_text(FAKE_SERVER)
    folder.mkdir()
    monkeypatch.setenv("LOCAL_API_DATA_DIR", str(folder))
    monkeypatch.setattr(server, "server_command", lambda directory, *options: [
        sys.executable, "-S", str(script), "--data-dir", str(directory), *options])
    yield folder
    server.stop_server()


@pytest.fixture
def starts(local_server: Path) -> Callable[[], int]:
    """How many servers have got as far as running on the data directory."""
    return lambda: len((local_server / "starts").read_text().split()) if (local_server / "starts").exists() else 0


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def completion(text: str, model: str = "m") -> dict[str, Any]:
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model,
            "choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}]}


@pytest.fixture
def echo_api() -> Handler:
    """Completions that repeat their prompt in capitals."""
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=completion(json.loads(request.content)["prompt"].upper()))
    return answer
