"""Texts to vectors with all-MiniLM-L6-v2: mean of the last layer's states over the text's tokens, of unit length.

Source of the recipe: the model's own description (mean pooling, then normalisation, 256 word pieces at most). PyTorch and
the model are loaded when the first text comes, in a thread; the server answers other requests meanwhile.

    vectors, n_tokens = await MiniLM(folder).embed(["Where is my parcel?"])
"""

import asyncio
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..protocols import EngineError

DIMENSIONS = 384
MAX_TOKENS = 256
BATCH = 32  # texts of like lengths in one matrix product


class MiniLM:
    """`Embedder` of the protocols."""

    id = "all-minilm-l6-v2"
    dimensions = DIMENSIONS
    max_tokens = MAX_TOKENS

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loading = threading.Lock()

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_truncation()  # too long a text is refused, not cut off in silence
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        from transformers import BertModel

        return BertModel.from_pretrained(self._folder, add_pooling_layer=False).eval()

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = [encoding.ids for encoding in encodings]
        for number, row in enumerate(ids):
            if len(row) > MAX_TOKENS:
                raise EngineError(f"input {number} has {len(row)} tokens, the embedding model reads at most {MAX_TOKENS}: "
                                  "cut it into parts")
        return await asyncio.to_thread(self._vectors, ids), sum(map(len, ids))

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def _vectors(self, ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """Vectors [len(ids), 384] in the order of `ids`; computed shortest first, so that little is padding."""
        with self._loading:  # one thread loads, and one at a time computes: more would only share the same cores
            order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
            vectors: list[list[float]] = [[]] * len(ids)
            for start in range(0, len(order), BATCH):
                places = order[start:start + BATCH]
                for place, vector in zip(places, self._pooled([ids[place] for place in places]), strict=True):
                    vectors[place] = vector
            return vectors

    def _pooled(self, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        import torch

        width = max(map(len, rows))
        tokens = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        with torch.inference_mode():
            states = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state
            weights = mask[:, :, None].to(states.dtype)
            means = (states * weights).sum(dim=1) / weights.sum(dim=1)
            return torch.nn.functional.normalize(means, dim=1).tolist()
