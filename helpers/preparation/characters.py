"""Characters: which occur how often, and which should not occur at all.

Knows Unicode. Knows nothing of rows.

    clean("a\\r\\nb\\u200b")      # "a\\nb"
"""

import re
from collections.abc import Iterable
from itertools import islice

import numpy as np

# C0 and C1 but for tabs and line feeds, and what is invisible but for the joiners that scripts and emoji need.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]")
LINE_END = re.compile("\r\n?|[\x0b\x0c\x85]")
SHOUTING = 0.5  # capitals for each small letter


def clean(text: str) -> str:
    """The text without control and invisible characters, with its line ends as line feeds."""
    return CONTROL.sub("", LINE_END.sub("\n", text))


def census(texts: Iterable[str], chunk: int = 5000) -> dict[str, int]:
    """How often each character occurs."""
    counts = np.zeros(128, dtype=np.int64)
    remaining = iter(texts)
    while some := list(islice(remaining, chunk)):
        found = _count("".join(some))
        if len(found) > len(counts):
            counts, found = found, counts
        counts[: len(found)] += found
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _count(text: str) -> np.ndarray:
    """How often each code point occurs, up to the highest."""
    if text.isascii():
        return np.bincount(np.frombuffer(text.encode(), dtype=np.uint8), minlength=128)
    return np.bincount(np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32), minlength=128)


def is_loud(counts: dict[str, int], limit: float = SHOUTING) -> bool:
    """Whether there are more capitals for each small letter than the limit."""
    upper, lower = (sum(number for character, number in counts.items() if test(character)) for test in (str.isupper, str.islower))
    return upper > 1 and upper > limit * lower
