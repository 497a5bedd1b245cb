"""Losses and accuracies of a batch, from the model's own predictions. Plain numbers: no PyTorch.

    accuracies([[1, 1], [0, 5], [4, 2]], [[1, 2], [0, 5], [4, 2]])   # (5 / 6, 2 / 3): the guide's worked example
"""

from collections.abc import Sequence
from dataclasses import dataclass


def accuracies(predictions: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Share of tokens predicted right, and share of sequences with all of their tokens right."""
    tally = Tally.of(predictions, targets)
    return tally.token_accuracy, tally.sequence_accuracy


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over examples, which add up: batches are read in parts, a validation file batch by batch."""

    loss: float = 0.0  # summed by `weight`
    weight: float = 0.0
    right_tokens: int = 0
    tokens: int = 0
    right_sequences: int = 0
    sequences: int = 0

    @classmethod
    def of(
        cls, predictions: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, loss: float = 0.0, weight: float = 0.0
    ) -> "Tally":
        """From the tokens predicted and the tokens meant, a sequence for each example."""
        pairs = list(zip(predictions, targets, strict=True))
        hits = [sum(p == t for p, t in zip(predicted, meant, strict=True)) for predicted, meant in pairs]
        lengths = [len(meant) for meant in targets]
        whole = sum(hit == length for hit, length in zip(hits, lengths, strict=True))
        return cls(loss, weight, sum(hits), sum(lengths), whole, len(pairs))

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.loss + other.loss,
            self.weight + other.weight,
            self.right_tokens + other.right_tokens,
            self.tokens + other.tokens,
            self.right_sequences + other.right_sequences,
            self.sequences + other.sequences,
        )

    @property
    def mean_loss(self) -> float:
        return self.loss / self.weight if self.weight else 0.0

    @property
    def token_accuracy(self) -> float:
        return self.right_tokens / self.tokens if self.tokens else 0.0

    @property
    def sequence_accuracy(self) -> float:
        return self.right_sequences / self.sequences if self.sequences else 0.0
