"""The real engine: trains LoRA adapters with PyTorch and serves them with llama.cpp, on this machine.

Importing it loads neither; each room loads its own when it is first used.

    engine = create(platformdirs.user_cache_path("fine-tuning-cookbook"))
    engine.base_models()[0].id   # "smollm2-135m-instruct"
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from local_api.engines.lora.base_models import DEFAULT, ModelFiles, find, find_embedder
from local_api.engines.lora.other_models import describe, find_other
from local_api.engines.protocols import BaseModel, EngineError

if TYPE_CHECKING:
    from local_api.engines.lora.embedder import MiniLM
    from local_api.engines.lora.generator import LlamaGenerator
    from local_api.engines.lora.tokenizer import LoraTokenizer
    from local_api.engines.lora.trainer import LoraTrainer


@dataclass
class LoraEngine:
    """`Engine` of the protocols."""

    cache_dir: Path
    base_model: str | None = None
    name: str = "lora"
    version: str = field(default_factory=lambda: version("fine-tuning-cookbook"))

    def base_models(self) -> Sequence[BaseModel]:
        return [self._model]

    def tokenizer(self, base_model: str) -> "LoraTokenizer":
        self._files(base_model)
        return self._tokenizer

    def trainer(self) -> "LoraTrainer":
        from local_api.engines.lora.trainer import LoraTrainer

        return LoraTrainer(self._files, self.tokenizer)

    def generator(self) -> "LlamaGenerator":
        from local_api.engines.lora.generator import LlamaGenerator

        return LlamaGenerator(self._files(self._model.id), self.tokenizer(self._model.id))

    def embedder(self) -> "MiniLM":
        from local_api.engines.lora.embedder import MiniLM

        return MiniLM(find_embedder(self.cache_dir))

    @cached_property
    def _model(self) -> BaseModel:
        return describe(self.base_model) if self.base_model else DEFAULT

    @cached_property
    def _found(self) -> ModelFiles:
        return find_other(self.base_model, self.cache_dir) if self.base_model else find(self.cache_dir)

    @cached_property
    def _tokenizer(self) -> "LoraTokenizer":
        from local_api.engines.lora.tokenizer import load_tokenizer

        return load_tokenizer(self._found.weights)

    def _files(self, base_model: str) -> ModelFiles:
        if base_model != self._model.id:
            raise EngineError(f"the base model {base_model!r} is not offered; {self._model.id!r} is")
        return self._found


def create(cache_dir: Path, base_model: str | None = None) -> LoraEngine:
    """The engine over the models in `cache_dir`; cheap, nothing is loaded yet.

    `base_model`: instead of the default, a folder in transformers' format or a name on the Hugging Face Hub.
    """
    return LoraEngine(cache_dir, base_model)
