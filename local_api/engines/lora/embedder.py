"""Sentence embeddings: all-MiniLM-L6-v2, mean of the last layer over the tokens, made unit length.

It knows its model and nothing of the language model. PyTorch is loaded in a thread at the first request.

    vectors, n_tokens = await MiniLM(find_embedder(cache_dir)).embed(["a kettle", "an electric kettle"])
"""

import asyncio
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as FastTokenizer

from local_api.engines.lora.openmp import yielding_threads
from local_api.engines.protocols import EngineError

_AT_ONCE = 32  # texts; sorted by length, so that little of it is padding


class MiniLM:
    """`Embedder` of the protocols. Texts are cut nowhere: one that is too long is refused."""

    id = "all-minilm-l6-v2"
    dimensions = 384
    max_tokens = 256  # with the two that the model adds; it was trained on no more

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loading = threading.Lock()

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        return await asyncio.to_thread(self._embed, list(texts))

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def _embed(self, texts: list[str]) -> tuple[list[list[float]], int]:
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        for number, ids in enumerate(encoded):
            if len(ids) > self.max_tokens:
                raise EngineError(f"input {number} has {len(ids)} tokens, this model reads at most {self.max_tokens}: split it")
        by_length = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        vectors: list[list[float]] = [[] for _ in texts]
        for start in range(0, len(texts), _AT_ONCE):
            indices = by_length[start : start + _AT_ONCE]
            for index, vector in zip(indices, self._vectors([encoded[i] for i in indices]), strict=True):
                vectors[index] = vector
        return vectors, sum(map(len, encoded))

    def _vectors(self, encoded: list[list[int]]) -> list[list[float]]:
        """[texts, dimensions], for texts of like lengths."""
        model = self._loaded()  # before the import below: it loads PyTorch in the right way
        import torch

        width = max(map(len, encoded))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in encoded])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in encoded])
        with torch.inference_mode():
            hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
            mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            return torch.nn.functional.normalize(mean, dim=1).tolist()

    def _loaded(self) -> Any:
        with self._loading:
            return self._model

    @cached_property
    def _model(self) -> Any:
        with yielding_threads():
            import torch
        from transformers import AutoModel
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            return AutoModel.from_pretrained(self._folder, dtype=torch.float32).eval()
        except (OSError, ValueError) as error:
            raise EngineError(f"the embedding model in {self._folder} cannot be loaded: {error}") from error

    @cached_property
    def _tokenizer(self) -> FastTokenizer:
        tokenizer = FastTokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
