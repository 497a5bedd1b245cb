"""Choosing the next token: bias, penalties, temperature and nucleus over a source's probabilities.

Logprobs that people see are those of the source itself, at temperature 1 and before bias and penalties. Knows no text.

    sampler = Sampler(request, ids)
    place = sampler.choose(p)  # p along sampler.ids
"""

from random import Random

import numpy as np

from local_api.engines.protocols import GenerationRequest


class Sampler:
    """The state of one answer: its random generator and what was generated so far."""

    def __init__(self, request: GenerationRequest, known: np.ndarray) -> None:
        """`known` are the source's ids, ascending; `ids` are these and any that the logit bias names besides."""
        self._request = request
        self._random = Random(request.seed) if request.temperature > 0 else None
        others = sorted(set(request.logit_bias).difference(known.tolist())) if request.logit_bias else []
        self.ids = np.concatenate([known, np.array(others, dtype=np.int64)]) if others else known
        self._n_others = len(others)
        self._shift = np.array([request.logit_bias.get(int(token), 0.0) for token in self.ids]) \
            if request.logit_bias else None
        self._seen = np.zeros(len(self.ids)) if request.presence_penalty or request.frequency_penalty else None

    def widen(self, p: np.ndarray, unknown: float) -> np.ndarray:
        """Probabilities along `ids`, from a source's along its own."""
        return np.concatenate([p, np.full(self._n_others, unknown)]) if self._n_others else p

    def choose(self, p: np.ndarray) -> int:
        """The place in `ids` of the token taken. Temperature 0: the likeliest, of equals the one with the lowest id."""
        request = self._request
        if self._random is None and self._shift is None and self._seen is None:
            return int(p.argmax())
        with np.errstate(divide="ignore"):  # a probability of 0 is a logit of -inf, which no bias lifts
            logits = np.log(p)
        if self._shift is not None:
            logits += self._shift
        if self._seen is not None:
            logits -= request.frequency_penalty * self._seen + request.presence_penalty * (self._seen > 0)
        place = int(logits.argmax()) if self._random is None else self._draw(logits, self._random)
        if self._seen is not None:
            self._seen[place] += 1
        return place

    def _draw(self, logits: np.ndarray, random: Random) -> int:
        with np.errstate(over="ignore"):  # a temperature next to 0 leaves the likeliest token alone
            weights = np.exp((logits - logits.max()) / self._request.temperature)
        if self._request.top_p >= 1:
            return _spin(weights, random)
        # The nucleus: the fewest of the likeliest tokens that together have a share of top_p.
        order = np.argsort(-weights, kind="stable")
        mass = np.cumsum(weights[order])
        kept = 1 + int(np.searchsorted(mass, self._request.top_p * mass[-1]))
        return int(order[_spin(weights[order[:kept]], random)])


def _spin(weights: np.ndarray, random: Random) -> int:
    mass = np.cumsum(weights)
    return min(int(np.searchsorted(mass, random.random() * mass[-1], side="right")), len(weights) - 1)
