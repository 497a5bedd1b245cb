"""Where the next token comes from: what an adapter has learned, or a text that is fixed beforehand.

A source offers a constant list of token ids, probabilities for them at each step, and is told which token was taken.
Knows no temperature, stop sequences or requests.

    source = Learned(model, "2+2=")
    p, unknown = source.probabilities()  # along source.ids, and of any one other token
    source.take(int(source.ids[p.argmax()]))
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from local_api.engines.mock.counts import START
from local_api.engines.mock.model import Model, agreeing, trust_in
from local_api.engines.mock.tokenizer import END_OF_TEXT

# What a fixed text leaves to other tokens: next to nothing at any temperature up to 2, yet a logit bias of 100 can choose
# one of them, and a bias of -100 on the planned token leads to the end token.
BASE_FLOOR, BASE_END = 1e-12, 1e-9


class Source(Protocol):
    ids: np.ndarray

    def probabilities(self) -> tuple[np.ndarray, float]: ...

    def take(self, token: int) -> None: ...


class Learned:
    """The distribution of an adapter's model, for one prompt."""

    def __init__(self, model: Model, prompt: str) -> None:
        self.ids = model.known
        self._model = model
        self._followers = model.votes(model.neighbours(prompt))
        self._trust = trust_in(self._followers)
        self._before = self._last = START
        self._position = 0

    def probabilities(self) -> tuple[np.ndarray, float]:
        return self._model.distribution(self._before, self._last, self._followers, self._position, self._trust)

    def take(self, token: int) -> None:
        self._followers = agreeing(self._followers, self._position, token)
        self._before, self._last = self._last, token
        self._position += 1


class Fixed:
    """A text told token by token. With `floor` 0 nothing else can be drawn, as where a grammar allows one text alone."""

    def __init__(self, tokens: Sequence[int], *, floor: float = BASE_FLOOR) -> None:
        self.plan = [*tokens, END_OF_TEXT]
        self._floor = floor
        self._position = 0

    @cached_property
    def ids(self) -> np.ndarray:
        return np.array(sorted(set(self.plan)), dtype=np.int64)

    def probabilities(self) -> tuple[np.ndarray, float]:
        p = np.full(len(self.ids), self._floor)
        if self._floor:
            p[np.searchsorted(self.ids, END_OF_TEXT)] = BASE_END
        planned = np.searchsorted(self.ids, self.plan[self._position])
        p[planned] = 0.0
        p[planned] = 1.0 - p.sum()
        return p, self._floor

    def take(self, token: int) -> None:
        if token == self.plan[self._position]:
            self._position = min(self._position + 1, len(self.plan) - 1)
