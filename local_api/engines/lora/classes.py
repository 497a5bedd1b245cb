"""How likely the model finds each class for each validation example, from the scores of the tokens at which classes part.

Classes part where their answers' tokens do: at a fork the model is asked how likely it goes on with each of the branches,
given that it takes one of them; a class is as likely as its branches together. Where all first tokens differ there is one
fork, and measuring the validation file has passed it already: nothing is computed twice. It knows tokens, and no text.

    chooser = Chooser(network, kept, answers=[[42], [77, 3]], examples={0: row}, batches=[([0], parts)])
    objective.watch = chooser.see; ...; chooser.probabilities()
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from local_api.engines.lora.batches import Part, collate, split
from local_api.engines.lora.examples import Encoded
from local_api.engines.lora.network import Network
from local_api.engines.lora.objectives import Kept


@dataclass(frozen=True, slots=True)
class Fork:
    """After the tokens `before`, an answer goes on with one of `tokens`, each for some classes; or `ended` is complete."""

    before: tuple[int, ...]
    tokens: tuple[int, ...]
    classes: tuple[tuple[int, ...], ...]
    ended: tuple[int, ...] = ()  # one class at most

    def chances(self, scores: torch.Tensor) -> list[tuple[tuple[int, ...], float]]:
        """Each branch's classes and probability, from the scores of the whole vocabulary. What ended has all other tokens."""
        branches = scores[list(self.tokens)]
        if not self.ended:
            return list(zip(self.classes, branches.softmax(-1).tolist(), strict=True))
        others = scores.clone()
        others[list(self.tokens)] = -torch.inf
        chances = torch.cat([branches, others.logsumexp(-1, keepdim=True)]).softmax(-1).tolist()
        return list(zip([*self.classes, self.ended], chances, strict=True))


def forks(answers: Sequence[Sequence[int]]) -> list[Fork]:
    """The forks of some different answers, the first one first."""
    found: list[Fork] = []
    groups = [tuple(range(len(answers)))]
    depths = [0]
    while groups:
        group, depth = groups.pop(0), depths.pop(0)
        branches: dict[int, list[int]] = {}
        for number in group:
            if len(answers[number]) > depth:
                branches.setdefault(answers[number][depth], []).append(number)
        ended = tuple(number for number in group if len(answers[number]) == depth)
        if len(branches) + len(ended) > 1:
            classes = tuple(tuple(branch) for branch in branches.values())
            found.append(Fork(tuple(answers[group[0]][:depth]), tuple(branches), classes, ended))
        for branch in branches.values():
            if len(branch) > 1:
                groups.append(tuple(branch))
                depths.append(depth + 1)
    return found


def last_answer(example: Encoded) -> int:
    """Where the last run of tokens that accuracy counts begins."""
    start = len(example.ids)
    while start and example.scored[start - 1]:
        start -= 1
    return start


class Chooser:
    """Sees the scores while the validation file is measured, and computes those of the other forks when asked."""

    def __init__(self, network: Network, kept: Kept, *, answers: Sequence[Sequence[int]], examples: Mapping[int, Encoded],
                 batches: Sequence[tuple[Sequence[int], Sequence[Part]]]) -> None:
        """`answers`: a class's tokens each. `examples`: by number. `batches`: numbers of examples, and their parts."""
        self._network, self._kept, self._n_classes = network, kept, len(answers)
        self._places: dict[tuple[str, int, int], list[tuple[int, int, Fork]]] = {}  # part -> example, position, fork
        self._chances: dict[int, list[float]] = {number: [1.0] * len(answers) for number in examples}
        self._own: list[Part] = []
        for number, fork in enumerate(forks(answers)):
            if number == 0 and not fork.ended:  # every example's own answer leads to it and past it
                for numbers, parts in batches:
                    self._find(fork, numbers, parts, examples)
            else:
                self._add(fork, examples)

    def see(self, part: Part, scores: torch.Tensor) -> None:
        """`scores`: of the next token at each of the part's positions [positions, vocabulary]."""
        for example, place, fork in self._places.get(part.key, ()):
            for classes, chance in fork.chances(scores[place]):
                for number in classes:
                    self._chances[example][number] *= chance

    def probabilities(self) -> tuple[list[int], list[list[float]]]:
        """Numbers of the examples, and for each the probabilities of the classes; what was seen is forgotten."""
        with torch.no_grad():
            for part in self._own:
                self.see(part, self._network.logits(self._kept.hidden(part), part.positions))
        told = dict(sorted(self._chances.items()))
        self.forget()
        return list(told), list(told.values())

    def forget(self) -> None:
        self._chances = {number: [1.0] * self._n_classes for number in self._chances}

    def _find(self, fork: Fork, numbers: Sequence[int], parts: Sequence[Part], examples: Mapping[int, Encoded]) -> None:
        """Note where in the parts of a batch the fork is."""
        waiting: Iterator[int] = iter(numbers)
        for part in parts:
            positions, time = part.positions.tolist(), part.ids.shape[1]
            for row in range(part.rows):
                number = next(waiting)
                place = row * time + last_answer(examples[number]) + len(fork.before) - 1
                self._places.setdefault(part.key, []).append((number, positions.index(place), fork))

    def _add(self, fork: Fork, examples: Mapping[int, Encoded]) -> None:
        """Parts of its own for a fork: each example's prompt, and the tokens that lead there."""
        rows = sorted(((number, lead(row, fork)) for number, row in examples.items()), key=lambda pair: len(pair[1].ids))
        for chosen in split([len(row.ids) for _, row in rows]):
            key = ("classes", len(self._own), chosen.start)
            self._own.append(collate([rows[index][1] for index in chosen], key))
            self._places[key] = [(rows[index][0], place, fork) for place, index in enumerate(chosen)]


def lead(example: Encoded, fork: Fork) -> Encoded:
    """An example's prompt up to a fork, with one token after it: the one asked about."""
    ids = [*example.ids[:last_answer(example)], *fork.before, fork.tokens[0]]
    only_last = [index == len(ids) - 1 for index in range(len(ids))]
    return Encoded(ids, [float(last) for last in only_last], only_last, example.line)
