"""Real server processes and official clients for the contract tests."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import openai
import pytest
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

KEY = "sk-local-for-tests"
THINGS = {"cherry": "red", "sky": "blue", "moss": "green", "ruby": "red", "jeans": "blue", "fern": "green"}


@dataclass
class ServerProcess:
    """One `python -m local_api` on a data directory, started as a user would start it."""

    data_dir: Path
    cache_dir: Path
    engine: str = "mock"
    environment: dict[str, str] = field(default_factory=dict)
    key: str = KEY
    process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> "ServerProcess":
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOCAL_API_", "OPENAI_"))}
        environment |= {"LOCAL_API_KEY": self.key, "LOCAL_API_CACHE_DIR": str(self.cache_dir), **self.environment}
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local_api", "--data-dir", str(self.data_dir), "--port", "0", "--engine", self.engine,
                 *arguments], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.discovered() is not None, what="the server's discovery file")
        return self

    def discovered(self) -> dict | None:
        """The discovery file of this process, or None while it is not there."""
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with status {self.process.returncode}: {self.log()}")
        try:
            found = json.loads((self.data_dir / "server.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found if found["pid"] == self.process.pid else None

    @property
    def url(self) -> str:
        return self.discovered()["url"]

    def client(self, **options: object) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, **{"max_retries": 0, **options})

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def log(self) -> str:
        return (self.data_dir / "server.log").read_text(errors="replace")[-4000:]


def wait_until(condition: Callable[[], object], *, what: str, seconds: float = 60) -> object:
    """The first true value of `condition`, or a failure that says what did not come.

    The longer it takes, the less often it is asked: a question to the server takes time from what is waited for.
    """
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        if value := condition():
            return value
        time.sleep(min(max(0.02, waited / 10), 0.25))
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def colour_rows(n: int) -> list[dict[str, str]]:
    """`n` different rows of a task so small that every engine learns it: thing -> colour."""
    names = list(THINGS)
    return [{"prompt": f"{names[i % 6]} number {i // 6 + 1}\n\n###\n\n", "completion": f" {THINGS[names[i % 6]]}\n"} for i in range(n)]


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(client: openai.OpenAI, content: bytes, name: str = "train.jsonl", purpose: str = "fine-tune") -> FileObject:
    return client.files.create(file=(name, content), purpose=purpose)


def finished(client: openai.OpenAI, job_id: str, seconds: float = 120) -> FineTuningJob:
    """The job once it ended."""
    def ended() -> object:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in ("succeeded", "failed", "cancelled") else None
    return wait_until(ended, what=f"the end of {job_id}", seconds=seconds)


@pytest.fixture(scope="session")
def tools() -> type:
    """The functions above, for tests: there is nothing to import a conftest from."""
    class Tools:
        pass
    for function in (wait_until, colour_rows, jsonl, upload, finished):
        setattr(Tools, function.__name__, staticmethod(function))
    return Tools


@contextlib.contextmanager
def servers_below(folder: Path, cache_dir: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers on folders below one; whatever is left running is killed at the end."""
    servers: list[ServerProcess] = []

    def make(name: str = "data", **options: object) -> ServerProcess:
        servers.append(ServerProcess(folder / name, cache_dir, **options))
        return servers[-1]

    yield make
    for server in servers:
        if server.process is not None:
            with contextlib.suppress(ProcessLookupError):
                server.kill()


@pytest.fixture
def make_server(tmp_path: Path, cache_dir: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers on folders below tmp_path, which end with the test."""
    with servers_below(tmp_path, cache_dir) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_server(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers that the tests of a file share."""
    with servers_below(tmp_path_factory.mktemp("shared"), cache_dir) as make:
        yield make


@pytest.fixture(scope="session", params=["mock", pytest.param("lora", marks=pytest.mark.lora)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[ServerProcess]:
    """One running server for each engine, shared by the tests that leave it as it was."""
    running = ServerProcess(tmp_path_factory.mktemp("data"), cache_dir, engine=request.param).start()
    yield running
    assert running.stop() == 0, running.log()
    assert "Traceback" not in running.log()


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> openai.OpenAI:
    return server.client()


@pytest.fixture(scope="session")
def base(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


@pytest.fixture(scope="session")
def job(client: openai.OpenAI, base: str) -> FineTuningJob:
    """A job that succeeded, with validation, on each engine: 36 steps."""
    train, valid = upload(client, jsonl(colour_rows(48))), upload(client, jsonl(colour_rows(60)[48:]), "valid.jsonl")
    created = client.fine_tuning.jobs.create(
        model=base, training_file=train.id, validation_file=valid.id, suffix="colours", seed=7, metadata={"course": "colours"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 6, "batch_size": 8}}})
    ended = finished(client, created.id)
    assert ended.status == "succeeded", ended.error
    return ended
