"""Factories for the mock engine's tests: examples, training specs, requests, and a way to run the async parts."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_api.engines.mock import create
from local_api.engines.mock.engine import MockEngine
from local_api.engines.protocols import (
    CheckpointReport,
    GenerationRequest,
    Hyperparameters,
    Piece,
    PromptCompletion,
    Report,
    StepReport,
    TrainingSpec,
)

TOPICS = {
    " delivery": ("parcel", "courier", "tracking", "depot", "shipment", "doorstep"),
    " billing": ("invoice", "charged", "refund", "statement", "payment", "card"),
    " technical": ("error", "screen", "firmware", "battery", "restart", "noise"),
}
FRAMES = ("My {0} and the {1} worry me", "Why is the {0} wrong, the {1} too?", "Please look at {0} before {1}",
          "The {0} again! And {1}.", "I asked about {0} and {1} last week")


def messages() -> list[PromptCompletion]:
    """90 different messages of three kinds, in a mixed order; a completion is one token."""
    rows = [PromptCompletion(f"{frame.format(words[place], words[(place + shift) % 6])}\n\n###\n\n", label)
            for shift in (1, 2) for frame in FRAMES for place in range(6) for label, words in TOPICS.items()
            if (place + shift) % 2 or shift == 2]
    unique = list(dict.fromkeys(rows))
    return [PromptCompletion(row.prompt, row.completion, line) for line, row in enumerate(unique, 1)]


@pytest.fixture
def engine(tmp_path: Path) -> MockEngine:
    return create(tmp_path / "cache")


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., TrainingSpec]:
    """A training spec over the messages, every fourth of them for validation; any part can be given."""
    def make(**given: Any) -> TrainingSpec:
        rows = messages()
        hyperparameters = {"n_epochs": 3, "batch_size": 8, "learning_rate_multiplier": 0.1,
                           **given.pop("hyperparameters", {})}
        spec = {"base_model": "mock-base", "validation": rows[::4], "seed": 7, "work_dir": tmp_path / "work",
                "examples": [row for place, row in enumerate(rows) if place % 4], **given}
        spec["work_dir"].mkdir(exist_ok=True)
        return TrainingSpec(hyperparameters=Hyperparameters(**hyperparameters), **spec)
    return make


@pytest.fixture
def train(engine: MockEngine, make_spec: Callable[..., TrainingSpec]) -> Callable[..., list[Report]]:
    return lambda **given: list(engine.trainer().train(make_spec(**given)))


@pytest.fixture
def adapter_of(train: Callable[..., list[Report]], tmp_path: Path) -> Callable[..., Path]:
    """The adapter that a training run on the given (prompt, completion) pairs ends with."""
    def make(*pairs: tuple[str, str], **given: Any) -> Path:
        rows = [PromptCompletion(prompt, completion, line) for line, (prompt, completion) in enumerate(pairs, 1)]
        number = len(list(tmp_path.glob("run-*")))
        return train(examples=rows, validation=[], work_dir=tmp_path / f"run-{number}", **given)[-1].adapter
    return make


@pytest.fixture
def ask(engine: MockEngine) -> Callable[..., list[Piece]]:
    """The pieces of the answer to a prompt, at temperature 0 unless told otherwise."""
    def pieces(prompt: str, adapter: Path | None = None, **given: Any) -> list[Piece]:
        ids = engine.tokenizer("mock-base").encode(prompt)
        request = GenerationRequest(**{"prompt": ids, "base_model": "mock-base", "adapter": adapter,
                                       "temperature": 0.0, "max_tokens": 64, **given})

        async def collect() -> list[Piece]:
            return [piece async for piece in engine.generator().generate(request)]
        return asyncio.run(collect())
    return pieces


@pytest.fixture
def steps() -> Callable[[list[Report]], list[StepReport]]:
    return lambda reports: [report for report in reports if isinstance(report, StepReport)]


@pytest.fixture
def checkpoints() -> Callable[[list[Report]], list[CheckpointReport]]:
    return lambda reports: [report for report in reports if isinstance(report, CheckpointReport)]
