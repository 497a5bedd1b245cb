"""Factories and scripted fakes for the local API's unit tests: a clock that stands still, a store, rows, an engine.

    def test_something(store, make_job): job = make_job(status="running")
"""

import io
import json
import math
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest

from local_api.auth import Keys
from local_api.context import Context
from local_api.engines.protocols import BaseModel, GenerationRequest, Piece, TokenLogprob
from local_api.settings import Settings
from local_api.store import Store

# The same examples each time, however busy the machine is, and none kept outside of the tests' own folders.
hypothesis.settings.register_profile("local_api", database=None, deadline=None, derandomize=True)
hypothesis.settings.load_profile("local_api")

WAY_TO = {"validating_files": [], "queued": ["queued"], "running": ["queued", "running"], "paused": ["paused"],
          "succeeded": ["queued", "running", "succeeded"], "failed": ["failed"], "cancelled": ["cancelled"]}


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class WordTokenizer:
    """A token a word; `before` is called for each example that is counted."""

    def __init__(self) -> None:
        self.before: Callable[[Any], None] = lambda example: None

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def n_training_tokens(self, example: Any) -> int:
        self.before(example)
        return len(f"{example.prompt} {example.completion}".split())


class ScriptedGenerator:
    """Answers a request by the pieces (or the exception) scripted for its prompt; remembers what was asked and closed."""

    def __init__(self) -> None:
        self.script: dict[tuple[int, ...], list[Any]] = {}
        self.asked: list[GenerationRequest] = []
        self.closed: list[tuple[int, ...]] = []

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        self.asked.append(request)
        try:
            for step in self.script[tuple(request.prompt)]:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Piece):
                    yield step
                else:
                    await step()
        finally:
            self.closed.append(tuple(request.prompt))


    async def score(self, request: GenerationRequest) -> list[TokenLogprob]:
        return [TokenLogprob(token, f"<{token}>", b"", math.nan if not place else -float(token))
                for place, token in enumerate(request.prompt)]


class FakeEngine:
    """An engine of scripted parts. `reports`: what training yields, raises, or calls between two reports."""

    name, version = "fake", "1"

    def __init__(self) -> None:
        self.models = [BaseModel("tiny", "a model for tests", context_length=16, max_training_tokens=8)]
        self.words, self.answers, self.reports, self.specs = WordTokenizer(), ScriptedGenerator(), [], []

    def base_models(self) -> list[BaseModel]:
        return self.models

    def tokenizer(self, base_model: str) -> WordTokenizer:
        return self.words

    def generator(self) -> ScriptedGenerator:
        return self.answers

    def embedder(self) -> SimpleNamespace:
        return SimpleNamespace(id="tiny-embedder", dimensions=4)

    def trainer(self) -> "FakeEngine":
        return self

    def train(self, spec: Any) -> Iterator[Any]:
        self.specs.append(spec)
        for step in self.reports:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                step()
            else:
                yield step


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    Store(folder, clock=Clock()).close()
    return folder / "local_api.sqlite3"


@pytest.fixture
def store(tmp_path: Path, clock: Clock, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store that does not wait for the disk: nobody cuts the power in the middle of a unit test."""
    (tmp_path / "data").mkdir()
    shutil.copy(empty_database, tmp_path / "data")
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    opened = Store(tmp_path / "data", clock=clock)
    opened.db.connection.execute("pragma synchronous = off")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def rows() -> Callable[..., bytes]:
    """`rows(10, completion=" c")`: JSONL of so many different rows, with overrides."""
    def make(n: int, **overrides: Any) -> bytes:
        return "".join(json.dumps({"prompt": f"{i} ->", "completion": " b\n", **overrides}) + "\n" for i in range(n)).encode()
    return make


@pytest.fixture
def make_file(store: Store, rows: Callable[..., bytes]) -> Callable[..., Any]:
    """A file with its contents on disk."""
    def make(content: bytes | None = None, *, project: str = "default", **overrides: Any) -> Any:
        content = rows(10) if content is None else content
        with store.contents.receive(io.BytesIO(content)) as path:
            sha256 = store.contents.keep(path)
        return store.files.add(project, **{"filename": "train.jsonl", "purpose": "fine-tune", "bytes": len(content),
                                           "sha256": sha256, **overrides})
    return make


@pytest.fixture
def make_job(store: Store, make_file: Callable[..., Any]) -> Callable[..., Any]:
    """A job in the status asked for, having gone there by legal steps."""
    def make(status: str = "validating_files", *, project: str = "default", content: bytes | None = None,
             **overrides: Any) -> Any:
        file = make_file(content, project=project)
        columns = {"model": "tiny", "base_model": "tiny", "training_file": file["id"], "training_sha256": file["sha256"],
                   "seed": 7, "method": "supervised", "requested": {"n_epochs": "auto", "batch_size": 5}, **overrides}
        job = store.jobs.add(project, **columns)
        store.events.add(job["id"], "created", f"Created fine-tuning job: {job['id']}")
        resolved = {"n_epochs": 1, "batch_size": 5, "learning_rate_multiplier": 0.1}
        for step in WAY_TO[status]:
            if step == "running":
                job = store.jobs.claim()
            else:
                job = store.jobs.move(job["id"], step, **({"resolved": resolved} if step == "queued" else {}))
        return job
    return make


@pytest.fixture
def make_model(store: Store, make_job: Callable[..., Any]) -> Callable[..., str]:
    """A fine-tuned model's row; its name."""
    def make(name: str = "ft:tiny:local::aaaaaaaa", *, project: str = "default", **overrides: Any) -> str:
        job_id = overrides.pop("job_id", None) or make_job("succeeded", project=project)["id"]
        store.models.add(name, **{"project": project, "base_model": "tiny", "adapter": "a1", "job_id": job_id,
                                  "parent": "tiny", "kind": "model", **overrides})
        return name
    return make


@pytest.fixture
def wakes() -> list[Any]:
    """What the worker was told; each wake-up call adds one."""
    return []


@pytest.fixture
def here(store: Store, engine: FakeEngine, clock: Clock, wakes: list[Any], tmp_path: Path) -> Context:
    settings = Settings(data_dir=store.data_dir, cache_dir=tmp_path / "cache", engine="mock")
    return Context(settings=settings, store=store, engine=engine, generator=engine.answers, embedder=engine.embedder(),
                   keys=Keys({"sk-test": "default"}), clock=clock, instance="i",
                   wake=lambda: wakes.append(store.db.connection.in_transaction))


@pytest.fixture
def messages(store: Store) -> Callable[[str], list[str]]:
    """What a job has told, oldest first."""
    def told(job_id: str) -> list[str]:
        return [row["message"] for row in reversed(store.events.page(job_id, limit=1000, after=None)[0])]
    return told
