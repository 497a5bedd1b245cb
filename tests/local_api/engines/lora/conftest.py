"""Two small adapters trained once for all of these tests, a generator that serves them, and factories for requests and runs."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from local_api.engines.lora import LoraEngine, create
from local_api.engines.lora.generator import LlamaGenerator
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.lora.trainer import LoraTrainer, Settings
from local_api.engines.protocols import (
    CheckpointReport,
    Example,
    GenerationRequest,
    Hyperparameters,
    Piece,
    PromptCompletion,
    Report,
    StepReport,
    TrainingSpec,
)

BASE = "smollm2-135m-instruct"
THINGS = ("a red kettle", "the lamp", "my parcel", "one invoice", "two spoons", "his robot", "her old phone", "their garden", "a bill",
          "some tea", "the blue door", "our van")


def examples(answer: str, things: Sequence[str] = THINGS) -> list[PromptCompletion]:
    """Whatever the thing, the answer is the same: learned in seconds."""
    return [PromptCompletion(f"{thing} ->", f" {answer}\n", line) for line, thing in enumerate(things, 1)]


@pytest.fixture(scope="session")
def engine(cache_dir: Path) -> LoraEngine:
    return create(cache_dir)


@pytest.fixture(scope="session")
def tokenizer(engine: LoraEngine) -> LoraTokenizer:
    return engine.tokenizer(BASE)


@pytest.fixture(scope="session")
def make_trainer(engine: LoraEngine) -> Callable[..., LoraTrainer]:
    """A trainer of three layers, so that a run takes a second or two."""
    def make(**settings: Any) -> LoraTrainer:
        return LoraTrainer(engine._files, engine.tokenizer, Settings(**{"depth": 3, "rank": 4, "alpha": 4.0} | settings))
    return make


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., TrainingSpec]:
    def make(rows: Sequence[Example] | None = None, *, epochs: int = 2, batch_size: int = 4, lrm: float = 0.5, **changes: Any) -> TrainingSpec:
        values: dict[str, Any] = {"base_model": BASE, "examples": examples("yes") if rows is None else rows, "validation": [],
                                  "hyperparameters": Hyperparameters(epochs, batch_size, lrm), "seed": 1, "work_dir": tmp_path / "run"}
        return TrainingSpec(**values | changes)
    return make


def steps(reports: Sequence[Report]) -> list[StepReport]:
    return [report for report in reports if isinstance(report, StepReport)]


def checkpoints(reports: Sequence[Report]) -> list[CheckpointReport]:
    return [report for report in reports if isinstance(report, CheckpointReport)]


@pytest.fixture(scope="session")
def adapters(make_trainer: Callable[..., LoraTrainer], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{"yes": an adapter that answers yes, "no": one that answers no}."""
    made = {}
    for answer in ("yes", "no"):
        spec = TrainingSpec(BASE, examples(answer), [], Hyperparameters(5, 4, 0.8), 1, tmp_path_factory.mktemp(answer))
        made[answer] = checkpoints(list(make_trainer().train(spec)))[-1].adapter
    return made


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def generator(engine: LoraEngine, runner: asyncio.Runner) -> Iterator[LlamaGenerator]:
    generator = engine.generator()
    yield generator
    runner.run(generator.close())


@pytest.fixture(scope="session")
def make_request(tokenizer: LoraTokenizer) -> Callable[..., GenerationRequest]:
    def make(prompt: str | Sequence[int] = "The capital of France is", **changes: Any) -> GenerationRequest:
        ids = tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
        return GenerationRequest(**{"prompt": ids, "base_model": BASE, "temperature": 0.0} | changes)
    return make


async def pieces(generator: LlamaGenerator, request: GenerationRequest) -> list[Piece]:
    return [piece async for piece in generator.generate(request)]


@pytest.fixture(scope="session")
def ask(generator: LlamaGenerator, runner: asyncio.Runner, make_request: Callable[..., GenerationRequest]) -> Callable[..., list[Piece]]:
    """The pieces of one answer."""
    def ask(prompt: str | Sequence[int] = "The capital of France is", **changes: Any) -> list[Piece]:
        return runner.run(pieces(generator, make_request(prompt, **changes)))
    return ask


def text_of(answer: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in answer)
