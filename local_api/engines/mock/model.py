"""What the mock engine has learned: the training examples with a count each, and one distribution over the next token.

p(token) mixes the next tokens of the k training examples whose prompts are most alike, and that agree with what was
written so far, with an n-gram model over the completions. An example's vote is its count x similarity ** SHARPNESS;
the votes together weigh TRUST x their sum against 1 for the n-gram model. Knows no files, requests or steps.

    model = Model([Entry("2+2=", (19, END_OF_TEXT))])
    model.count(0, 1.0)
    model.score("2+2=", (19,), model.neighbours("2+2="))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np

from local_api.engines.mock.counts import PRIOR, START, NGramCounts, Row
from local_api.engines.mock.neighbours import PromptIndex
from local_api.engines.mock.tokenizer import END_OF_TEXT, VOCABULARY_SIZE

NEIGHBOURS = 16
# Chosen on held-out messages of six classes: k = 16, 32; sharpness 1 to 4; trust 2 to 200. These gave the lowest
# validation loss after four epochs, and one that still falls from epoch to epoch.
SHARPNESS = 2
TRUST = 20.0
Neighbour = tuple[int, float]  # number of an entry, similarity of its prompt ** SHARPNESS
Vote = tuple[float, tuple[int, ...]]  # weight, the tokens that it stands for


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt and the tokens that answer it, the end token last."""

    prompt: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """How well an answer was foreseen: natural logarithm of its probability, tokens predicted right, tokens."""

    logprob: float
    right: int
    tokens: int


class Model:
    """Entries are fixed, as the index is; counts start at zero and grow (or shrink) as examples are seen."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self.counts = [0.0] * len(entries)
        self._ngrams = NGramCounts(VOCABULARY_SIZE)
        self._index = PromptIndex([entry.prompt for entry in entries])
        self._arrays: dict[Row, tuple[np.ndarray, np.ndarray]] = {}  # rows as `distribution` has met them

    def count(self, number: int, weight: float) -> None:
        """See an entry once more (weight > 0), or take it back (weight < 0)."""
        self.counts[number] += weight
        self._ngrams.add(self.entries[number].tokens, weight)

    def neighbours(self, prompt: str) -> list[Neighbour]:
        return [(number, similarity**SHARPNESS) for number, similarity in self._index.search(prompt, NEIGHBOURS)]

    def votes(self, neighbours: Sequence[Neighbour]) -> list[Vote]:
        """The answers of the neighbours seen so far; an answer that was taken back has a weight below zero."""
        counts, entries = self.counts, self.entries
        return [(counts[number] * nearness, entries[number].tokens)
                for number, nearness in neighbours if counts[number]]

    def score(self, tokens: Sequence[int], neighbours: Sequence[Neighbour]) -> Score:
        """Score an answer, each token given those before it. The token predicted is the likeliest of the commonest ones:
        what each neighbour goes on with, and the first choice of each n-gram order."""
        followers = self.votes(neighbours)
        trust = trust_in(followers)
        before = last = START
        logprob, right = 0.0, 0
        for position, token in enumerate(tokens):
            rows = self._ngrams.rows(before, last)
            shares = _shares(followers, position)
            chance = self._mixed(rows, shares, trust, token)
            logprob += log(chance)
            if chance > 0.5:
                right += 1
            else:
                choices = {*shares, *(row.best for row in rows if row.total)}
                right += token in choices and all(self._mixed(rows, shares, trust, other) < chance
                                                  for other in choices if other != token)
            followers = agreeing(followers, position, token)
            before, last = last, token
        return Score(logprob, right, len(tokens))

    def _mixed(self, rows: tuple[Row, Row, Row], shares: dict[int, float], trust: float, token: int) -> float:
        smoothed = self._ngrams.smoothed(rows, token)
        return (trust * shares.get(token, 0.0) + smoothed) / (trust + 1.0) if shares else smoothed

    @cached_property
    def known(self) -> np.ndarray:
        """The ids of all tokens that an entry holds, ascending: the only ones ever drawn unless a logit bias names more."""
        tokens = {END_OF_TEXT, *(token for entry in self.entries for token in entry.tokens)}
        return np.array(sorted(tokens), dtype=np.int64)

    @cached_property
    def _places(self) -> dict[int, int]:
        return {int(token): place for place, token in enumerate(self.known)}

    @cached_property
    def _first_order(self) -> tuple[np.ndarray, float]:
        row, _, _ = self._ngrams.rows(START, START)
        unknown = PRIOR / VOCABULARY_SIZE / (row.total + PRIOR) if row.total else 1 / VOCABULARY_SIZE
        p = np.full(len(self.known), unknown)
        self._add(p, row, 1.0 / (row.total + PRIOR))
        return p, unknown

    def distribution(self, before: int, last: int, followers: Sequence[Vote], position: int,
                     trust: float) -> tuple[np.ndarray, float]:
        """p over `known`, and p of any one token that is not in it, after `before` and `last` at `position`.

        For serving: what it computes once stays, so counts must not change any more.
        """
        first, unknown = self._first_order
        p = first.copy()
        for row in self._ngrams.rows(before, last)[1:]:
            if row.total:
                left = PRIOR / (row.total + PRIOR)
                p *= left
                unknown *= left
                self._add(p, row, 1.0 / (row.total + PRIOR))
        shares = _shares(followers, position)
        if shares:
            p /= trust + 1.0
            unknown /= trust + 1.0
            for token, share in shares.items():
                p[self._places[token]] += share * trust / (trust + 1.0)
        return p, unknown

    def _add(self, p: np.ndarray, row: Row, scale: float) -> None:
        if row not in self._arrays:
            counted = [(self._places[token], count) for token, count in row.counts.items() if count > 0]
            self._arrays[row] = (np.array([place for place, _ in counted], dtype=np.int64),
                                 np.array([count for _, count in counted], dtype=float))
        places, counts = self._arrays[row]
        p[places] += counts * scale


def trust_in(followers: Sequence[Vote]) -> float:
    """How much the neighbours' next tokens weigh against the n-gram model's 1."""
    return TRUST * sum(weight for weight, _ in followers if weight > 0)


def _shares(followers: Sequence[Vote], position: int) -> dict[int, float]:
    """What the followers go on with, as shares that sum to 1; empty where none has anything to say."""
    if not followers:
        return {}
    votes: dict[int, float] = {}
    for weight, tokens in followers:
        if position < len(tokens):
            votes[tokens[position]] = votes.get(tokens[position], 0.0) + weight
    total = sum(vote for vote in votes.values() if vote > 0)
    return {token: max(vote, 0.0) / total for token, vote in votes.items()} if total > 0 else {}


def agreeing(followers: Sequence[Vote], position: int, token: int) -> list[Vote]:
    """The followers that have this token at this position."""
    return [vote for vote in followers if position < len(vote[1]) and vote[1][position] == token]
