"""Numbers that stand for texts, so that a million of them can be compared: equal where the texts are.

Knows strings and arrays. Knows nothing of rows.

    keys = hashes(["a", "b", "a", ""])     # equal at 0 and 2; of an empty text 0
    first_of(keys)                          # array([True, True, False, True])
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

LABEL_LENGTH = 60  # characters; a longer answer is no class


def hashes(texts: Iterable[str]) -> np.ndarray:
    """A number for each text. 64 bits do not collide by chance; of an empty text 0."""
    return np.fromiter(map(hash, texts), dtype=np.int64)


def first_of(keys: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Whether each row is wanted and has a key that no wanted row before it has."""
    if wanted is None:
        return ~pd.Series(keys).duplicated().to_numpy()
    result = wanted.copy()
    result[wanted] = first_of(keys[wanted])
    return result


@lru_cache(maxsize=50_000)
def label_key(text: str) -> str:
    """The same for labels that differ only in case, space or the punctuation around them."""
    return plain_label(text)


def plain_label(text: str) -> str:
    """As `label_key`, for texts that do not come again."""
    return " ".join(text.casefold().split()).strip(" .,;:!\"'") or text if len(text) <= LABEL_LENGTH else text


def utf8_size(text: str) -> int:
    """Bytes of a text."""
    return len(text) if text.isascii() else len(text.encode())
