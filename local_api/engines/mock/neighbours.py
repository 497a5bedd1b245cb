"""Which training prompts are like this one: cosine similarity over words weighted by how rare they are (IDF).

Knows nothing of completions or tokens. Exact for files of up to POSTINGS prompts. In larger ones a word that is in more
prompts than that points to POSTINGS of them, spread evenly over the file, and a search reads its rarest words until they
have pointed to BUDGET prompts, so that it stays quick.

    index = PromptIndex(["Where is my parcel?", "I want my money back"])
    index.search("where is the parcel", k=1)  # [(0, similarity)]
"""

import re
from collections.abc import Sequence
from math import log, sqrt

import numpy as np

POSTINGS = 512
BUDGET = 2048
_WORD = re.compile(r"\w+|[^\w\s]{2,}")


def words(prompt: str) -> list[str]:
    """The lower-cased words of a prompt, once each; an empty prompt has one empty word.

    In order of appearance and not a set: sums over a set would differ in their last bits from process to process.
    """
    return list(dict.fromkeys(_WORD.findall(prompt.lower()))) or [""]


class PromptIndex:
    """An inverted index over prompts. Building it reads each prompt once; it does not change afterwards."""

    def __init__(self, prompts: Sequence[str]) -> None:
        self._size = len(prompts)
        self._most = log(1 + self._size) + 0.05
        postings: dict[str, list[int]] = {}
        for number, prompt in enumerate(prompts):
            for word in words(prompt):
                postings.setdefault(word, []).append(number)
        # The 0.05 keeps a file whose prompts are all alike searchable.
        self._idf = {word: log((1 + self._size) / (1 + len(where))) + 0.05 for word, where in postings.items()}
        squares = np.zeros(self._size)
        for word, where in postings.items():
            squares[where] += self._idf[word] ** 2
        norms = np.sqrt(squares)
        self._postings: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for word, where in postings.items():
            kept = np.array(where if len(where) <= POSTINGS else where[::-(-len(where) // POSTINGS)])
            self._postings[word] = kept, self._idf[word] ** 2 / norms[kept]

    def search(self, prompt: str, k: int) -> list[tuple[int, float]]:
        """Up to k (number of the prompt, similarity in (0, 1]), most alike first, earlier ones first among equals."""
        asked = words(prompt)
        found = self._found(asked)
        if not found:
            return []
        norm = sqrt(sum(self._idf.get(word, self._most) ** 2 for word in asked))
        numbers = np.concatenate([numbers for numbers, _ in found])
        scores = np.bincount(numbers, np.concatenate([weights for _, weights in found]))
        near = np.flatnonzero(scores > 0)  # much quicker than np.unique(numbers)
        values = scores[near]
        if len(near) > k:  # keep those that tie with the k-th, so that the order among equals decides
            kept = values >= np.partition(values, len(near) - k)[len(near) - k]
            near, values = near[kept], values[kept]
        order = np.argsort(-values, kind="stable")[:k]
        return [(number, min(1.0, value / norm))
                for number, value in zip(near[order].tolist(), values[order].tolist(), strict=True)]

    def _found(self, asked: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        found = [self._postings[word] for word in asked if word in self._postings]
        if self._size <= POSTINGS:
            return found
        found.sort(key=lambda posting: len(posting[0]))
        read = np.cumsum([len(numbers) for numbers, _ in found])
        return found[:int(np.searchsorted(read, BUDGET)) + 1]
