"""The mock engine put together: what `create` returns. Knows nothing that its parts do not know.

    engine = MockEngine()
    engine.base_models()[0].id  # "mock-base"
"""

from collections.abc import Sequence
from functools import cached_property

from local_api.engines.mock.adapter import BASE_MODEL_ID
from local_api.engines.mock.embedder import MockEmbedder
from local_api.engines.mock.generator import MockGenerator
from local_api.engines.mock.tokenizer import MockTokenizer, load_tokenizer
from local_api.engines.mock.trainer import MAX_TRAINING_TOKENS, MockTrainer
from local_api.engines.protocols import BaseModel, EngineError

BASE_MODEL = BaseModel(id=BASE_MODEL_ID, description="Mock: no neural network; nearest example and n-gram counts",
                       context_length=8192, max_training_tokens=MAX_TRAINING_TOKENS)


class MockEngine:
    """The `Engine` protocol. `version` changes when the same spec would give other numbers or another adapter."""

    name = "mock"
    version = "1"

    def __init__(self, *, step_seconds: float = 0.0) -> None:
        self._step_seconds = step_seconds

    def base_models(self) -> Sequence[BaseModel]:
        return (BASE_MODEL,)

    def tokenizer(self, base_model: str) -> MockTokenizer:
        if base_model != BASE_MODEL_ID:
            raise EngineError(f"the mock engine has one base model, {BASE_MODEL_ID}, not {base_model!r}")
        return load_tokenizer()

    def trainer(self) -> MockTrainer:
        return MockTrainer(step_seconds=self._step_seconds)

    def generator(self) -> MockGenerator:
        return self._generator

    def embedder(self) -> MockEmbedder:
        return MockEmbedder()

    @cached_property
    def _generator(self) -> MockGenerator:
        return MockGenerator()
