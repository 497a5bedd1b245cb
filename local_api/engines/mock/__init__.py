"""The mock engine: no neural network and no PyTorch, answers in milliseconds, the same numbers every time.

It is honest about what it is: it counts the uploaded examples and answers with the nearest of them. For continuous
integration, tests, and machines without the packages that the real engine needs.

    engine = create(cache_dir)
    engine.base_models()[0].description
"""

from pathlib import Path
from typing import TYPE_CHECKING

from local_api.engines.protocols import EngineError

if TYPE_CHECKING:
    from local_api.engines.mock.engine import MockEngine


def create(cache_dir: Path, base_model: str | None = None, step_seconds: float = 0.0) -> "MockEngine":
    """The engine; `step_seconds` is slept at each training step. It keeps nothing in `cache_dir`.

    EngineError: a base model was asked for, and the mock engine has none but its own.
    """
    from local_api.engines.mock.engine import BASE_MODEL, MockEngine  # numpy and tiktoken only when an engine is made

    if base_model not in (None, BASE_MODEL.id):
        raise EngineError(f"the mock engine cannot use the base model {base_model!r}, it has only {BASE_MODEL.id}: "
                          "leave the base model out, or start with --engine lora")
    return MockEngine(step_seconds=step_seconds)
