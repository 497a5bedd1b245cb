"""What a batch is measured by and what is learned from it: supervised training, and preferences (DPO).

Both measure with the model as it is before the batch is counted. Knows no steps, epochs or files.

    objective = Supervised(model, weight=count_weight(0.1))
    objective.measure(rows)  # loss in nats per token, accuracies as shares
    objective.learn(rows)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log1p
from typing import Protocol

from local_api.engines.mock.examples import Answer, Row
from local_api.engines.mock.model import Entry, Model, Neighbour, Score

_QUANTUM = 2**20


def count_weight(learning_rate_multiplier: float) -> float:
    """What seeing an example once adds to its count: 1 at a multiplier of 0.1, and in proportion.

    Rounded to a multiple of 2**-20, so that sums of counts are exact, and a resumed run gives the same numbers.
    """
    return max(1, round(10 * learning_rate_multiplier * _QUANTUM)) / _QUANTUM


@dataclass(frozen=True, slots=True)
class Measure:
    """Loss in nats (per token; DPO: per pair), and shares in [0, 1]."""

    loss: float
    accuracy: float
    sequence_accuracy: float


class Objective(Protocol):
    def measure(self, rows: Sequence[Row]) -> Measure: ...

    def learn(self, rows: Iterable[Row]) -> None: ...


class _Scorer:
    """Scores answers, looking the neighbours of each up once: which prompts are alike does not change with the counts."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.numbers: dict[Entry, int] = {entry: number for number, entry in enumerate(model.entries)}
        self._neighbours: dict[Entry, list[Neighbour]] = {}

    def score(self, answer: Answer) -> Score:
        entry = answer.entry
        near = self._neighbours.get(entry)
        if near is None:
            near = self.model.neighbours(entry.prompt)
            own = self.numbers.get(entry)
            if own is not None and all(number != own for number, _ in near):
                near.append((own, 1.0))  # many equal prompts: an entry is always among its own neighbours
            self._neighbours[entry] = near
        return self.model.score(entry.tokens[:answer.scored], near)


class Supervised:
    """Cross-entropy over the completions' tokens; learning counts each answer up."""

    def __init__(self, model: Model, weight: float) -> None:
        self._scorer, self._weight = _Scorer(model), weight

    def measure(self, rows: Sequence[Row]) -> Measure:
        scores = [[self._scorer.score(answer) for answer in row.answers] for row in rows]
        flat = [score for row in scores for score in row]
        tokens = sum(score.tokens for score in flat)
        whole = sum(all(score.right == score.tokens for score in row) for row in scores)
        return Measure(-sum(score.logprob for score in flat) / tokens, sum(score.right for score in flat) / tokens,
                       whole / len(rows))

    def choose(self, rows: Sequence[Row], classes: Sequence[Row]) -> list[list[float]]:
        """For each row the probabilities of the classes' last answers, given that one of them is the row's."""
        model, result = self._scorer.model, []
        for row in rows:
            near = model.neighbours(row.answers[-1].entry.prompt)
            logprobs = [model.score(each.answers[-1].entry.tokens, near).logprob for each in classes]
            best = max(logprobs)
            shares = [exp(logprob - best) for logprob in logprobs]
            total = sum(shares)
            result.append([share / total for share in shares])
        return result

    def learn(self, rows: Iterable[Row]) -> None:
        for row in rows:
            for answer in row.answers:
                self._scorer.model.count(self._scorer.numbers[answer.entry], self._weight)


class DirectPreference:
    """DPO (Rafailov et al. 2023): -log sigmoid(beta x (gain of the preferred - gain of the rejected answer)), a gain being
    the logarithm of the probability now over that of the start; both accuracies are the share of pairs with a margin above 0.

    Learning counts preferred answers up and rejected ones down. Make it before counts are restored: it takes the model
    as it finds it for the start.
    """

    def __init__(self, model: Model, weight: float, beta: float, rows: Iterable[Row]) -> None:
        self._scorer, self._weight, self._beta = _Scorer(model), weight, beta
        self._start = {row: self._difference(row) for row in rows}

    def _difference(self, row: Row) -> float:
        return self._scorer.score(row.answers[0]).logprob - self._scorer.score(row.rejected).logprob

    def measure(self, rows: Sequence[Row]) -> Measure:
        margins = [self._beta * (self._difference(row) - self._start[row]) for row in rows]
        won = sum(margin > 0 for margin in margins) / len(rows)
        return Measure(sum(map(_softplus, margins)) / len(rows), won, won)

    def learn(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._scorer.model.count(self._scorer.numbers[row.answers[0].entry], self._weight)
            self._scorer.model.count(self._scorer.numbers[row.rejected.entry], -self._weight)


def _softplus(margin: float) -> float:
    """-log sigmoid(margin), without overflow."""
    return max(-margin, 0.0) + log1p(exp(-abs(margin)))
