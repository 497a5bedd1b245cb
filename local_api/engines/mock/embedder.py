"""Vectors without a network: words and pieces of words, hashed into 384 places. Texts that share them are close.

It sees spelling, not meaning: "parcel" is near "parcels" and far from "package". Knows no models or files.

    vectors, n_tokens = await MockEmbedder().embed(["Where is my parcel?"])
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import log
from zlib import crc32

import numpy as np

from local_api.engines.mock.tokenizer import load_tokenizer
from local_api.engines.protocols import EngineError

DIMENSIONS = 384
MAX_TOKENS = 256  # as many as the real engine's embedder reads, so that what is too long there is too long here
PIECES = (3, 4)  # characters
SHORT = 3  # words of up to so many letters are mostly grammar
SHORT_WEIGHT = 0.3
_WORD = re.compile(r"\w+|[^\w\s]+")


class MockEmbedder:
    """The `Embedder` protocol."""

    id = "mock-embedding"
    dimensions = DIMENSIONS
    max_tokens = MAX_TOKENS

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        tokenizer = load_tokenizer()
        vectors, n_tokens = [], 0
        for number, text in enumerate(texts):
            length = len(tokenizer.encode(text))
            if length > self.max_tokens:
                raise EngineError(f"input {number} has {length} tokens, the embedding model reads at most "
                                  f"{self.max_tokens}: cut it into parts")
            vectors.append(_vector(text).tolist())
            n_tokens += length
            await asyncio.sleep(0)  # other requests get a turn
        return vectors, n_tokens

    def decode(self, ids: Sequence[int]) -> str:
        return load_tokenizer().decode(ids)


def _vector(text: str) -> np.ndarray:
    """Unit length. A word said n times counts 1 + log n; a text without words is one fixed direction."""
    total = np.zeros(DIMENSIONS)
    for word, times in Counter(_WORD.findall(text.casefold()) or [""]).items():
        total += (1 + log(times)) * _word_vector(word)
    norm = float(np.linalg.norm(total))
    return total / norm if norm > 0 else _word_vector("")


@lru_cache(maxsize=20_000)
def _word_vector(word: str) -> np.ndarray:
    """A word's own place and those of its pieces, of unit length together; short words and punctuation weigh less."""
    framed = f"<{word}>"
    features = [framed, *(framed[start:start + size] for size in PIECES for start in range(len(framed) - size + 1))]
    vector = np.zeros(DIMENSIONS)
    for feature in features:
        value = crc32(feature.encode("utf-8", "replace"))  # the same in every process, unlike hash()
        vector[(value >> 1) % DIMENSIONS] += 1 if value & 1 else -1
    norm = float(np.linalg.norm(vector))
    return vector / (norm or 1.0) * (1.0 if len(word) > SHORT or not word else SHORT_WEIGHT)
