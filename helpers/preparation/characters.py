"""Characters: which occur how often, and which should not occur at all.

Knows Unicode. Knows nothing of rows.

    clean("a\\r\\nb\\u200b")      # "a\\nb"
"""

import re
from collections.abc import Iterable

import numpy as np

# C0 and C1 but for tabs and line feeds, and what is invisible but for the joiners that scripts and emoji need.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]")
LINE_END = re.compile("\r\n?|[\x0b\x0c\x85]")


def clean(text: str) -> str:
    """The text without control and invisible characters, with its line ends as line feeds."""
    return CONTROL.sub("", LINE_END.sub("\n", text))


def census(texts: Iterable[str], chunk: int = 5000) -> dict[str, int]:
    """How often each character occurs."""
    counts = np.zeros(0x110000, dtype=np.int64)
    some: list[str] = []
    for text in texts:
        some.append(text)
        if len(some) == chunk:
            _count(some, counts)
            some = []
    _count(some, counts)
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _count(texts: list[str], counts: np.ndarray) -> None:
    joined = "".join(texts)
    if joined.isascii():
        counts[:128] += np.bincount(np.frombuffer(joined.encode(), dtype=np.uint8), minlength=128)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        counts += np.bincount(codes, minlength=len(counts))
