"""The engine as a whole: what it says of itself, what it refuses, what importing it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from local_api.engines import load_engine
from local_api.engines.mock import create
from local_api.engines.mock.engine import MockEngine
from local_api.engines.protocols import EngineError


def test_the_engine_says_that_it_is_a_mock(tmp_path: Path) -> None:
    engine = load_engine("mock", tmp_path)
    (model,) = engine.base_models()
    assert (engine.name, model.id, model.context_length) == ("mock", "mock-base", 8192)
    assert "no neural network" in model.description
    assert engine.embedder().id == "mock-embedding"


def test_the_generator_is_one_for_the_engine(engine: MockEngine) -> None:
    assert engine.generator() is engine.generator()


def test_another_base_model_is_refused_by_name(tmp_path: Path) -> None:
    assert create(tmp_path, base_model="mock-base").base_models()
    with pytest.raises(EngineError, match="'smollm2'"):
        create(tmp_path, base_model="smollm2")
    with pytest.raises(EngineError, match="'curie'"):
        create(tmp_path).tokenizer("curie")


def test_making_an_engine_writes_nothing(tmp_path: Path) -> None:
    create(tmp_path / "cache").tokenizer("mock-base")
    assert list(tmp_path.iterdir()) == []


def test_using_the_engine_imports_nothing_heavy() -> None:
    script = ("import sys, pathlib; from local_api.engines.mock import create; create(pathlib.Path('x')).trainer(); "
              "print(sorted({'torch', 'transformers', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
