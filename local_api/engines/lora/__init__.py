"""The real engine: trains LoRA adapters with PyTorch and serves them with llama.cpp, on this machine.

Importing it loads neither; each room loads its own when it is first used.

    engine = create(platformdirs.user_cache_path("fine-tuning-cookbook"))
    [model] = engine.base_models()
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..protocols import BaseModel, EngineError
from .base_models import DEFAULT, HUB_NAME, ModelFiles, find, find_embedder

if TYPE_CHECKING:
    from .embedder import MiniLM
    from .generator import LlamaGenerator
    from .tokenizer import LoraTokenizer
    from .trainer import LoraTrainer


@dataclass
class LoraEngine:
    """`Engine` of the protocols."""

    cache_dir: Path
    base_model: str | None = None
    name: str = "lora"
    version: str = field(default_factory=lambda: version("fine-tuning-cookbook"))
    _tokenizer: "LoraTokenizer | None" = field(default=None, init=False, repr=False)

    def base_models(self) -> Sequence[BaseModel]:
        return [DEFAULT]

    def tokenizer(self, base_model: str) -> "LoraTokenizer":
        from .tokenizer import load_tokenizer

        files = self._files(base_model)
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(files.weights)
        return self._tokenizer

    def trainer(self) -> "LoraTrainer":
        from .trainer import LoraTrainer

        return LoraTrainer(self._files, self.tokenizer, HUB_NAME)

    def generator(self) -> "LlamaGenerator":
        from .generator import LlamaGenerator

        return LlamaGenerator(self._files(DEFAULT.id), self.tokenizer(DEFAULT.id))

    def embedder(self) -> "MiniLM":
        from .embedder import MiniLM

        return MiniLM(find_embedder(self.cache_dir))

    def _files(self, base_model: str) -> ModelFiles:
        if base_model != DEFAULT.id:
            raise EngineError(f"the base model {base_model!r} is not offered; {DEFAULT.id!r} is")
        return find(self.cache_dir)


def create(cache_dir: Path, base_model: str | None = None) -> LoraEngine:
    """The engine over the models in `cache_dir`; cheap, nothing is loaded yet."""
    return LoraEngine(cache_dir, base_model)
