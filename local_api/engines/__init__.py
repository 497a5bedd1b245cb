"""Engines by name. Nothing heavy is imported until an engine is asked for."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local_api.engines.protocols import Engine, EngineError

NAMES = ("lora", "mock")
NEEDED_FOR_LORA = ("torch", "transformers", "peft", "gguf", "xllamacpp")


def default_engine() -> str:
    """`lora` where its packages are installed, else `mock`."""
    return "lora" if all(find_spec(name) for name in NEEDED_FOR_LORA) else "mock"


def load_engine(name: str, cache_dir: Path, **options: Any) -> Engine:
    """The engine called `name`; `cache_dir` holds base models; `options` go to the engine's `create`.

    Raises EngineError for an engine that is unknown or not installed.
    """
    if name not in NAMES:
        raise EngineError(f"unknown engine {name!r}: choose one of {', '.join(NAMES)}")
    if name == "lora" and (missing := [package for package in NEEDED_FOR_LORA if not find_spec(package)]):
        raise EngineError(f"the lora engine needs {', '.join(missing)}: install the extra with `pip install -e .[local]`, "
                          "or start with --engine mock")
    return import_module(f"local_api.engines.{name}").create(cache_dir, **options)
