"""Which examples train together, in which order, and as which tensors.

Examples of like lengths make a batch, so that little of it is padding; batches stay the same for the whole job, so that what
the frozen layers make of them can be kept, and are shuffled each epoch. A batch is read in parts of bounded size, whose
gradients add up. It knows no model.

    batches = like_lengths([len(row.ids) for row in rows], batch_size=8)
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_api.engines.lora.examples import Encoded

if TYPE_CHECKING:
    import torch

# Tokens, padding included, that a thread takes through the model at once: bounds memory whatever the batch size; larger parts
# are not faster on two cores.
PART_TOKENS = 512
# Parts have a multiple of so many tokens across. oneDNN prepares each product once for each shape: with lengths of all kinds
# there were more shapes than it has room for, and preparing took longer than the products. Four keep the padding of short
# messages at 4 % of the tokens (eight: 9 %; data/triage.csv).
MULTIPLE = 4


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of tokens, padded on the right, and where in them an answer is wanted."""

    key: tuple[str, int, int]  # names the part within the job
    ids: "torch.Tensor"  # [rows, time]: each sequence without its last token
    positions: "torch.Tensor"  # of [rows * time]: those whose next token carries loss
    targets: "torch.Tensor"  # the next tokens
    weights: "torch.Tensor"  # and their loss weights
    row_of: list[int]  # the row of each position
    scored: list[bool]  # whether accuracy counts it
    rows: int

    def by_row(self, values: Sequence[int]) -> list[list[int]]:
        """The scored ones of `values`, one for each position, as a list for each row."""
        lists: list[list[int]] = [[] for _ in range(self.rows)]
        for row, counted, value in zip(self.row_of, self.scored, values, strict=True):
            if counted:
                lists[row].append(value)
        return lists


def like_lengths(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches of indices, sorted by length; the last may be smaller."""
    by_length = sorted(range(len(lengths)), key=lambda index: lengths[index])
    return [by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)]


def order(n_batches: int, *, seed: int, epoch: int) -> list[int]:
    """The order of batches in an epoch."""
    return random.Random(f"{seed} {epoch}").sample(range(n_batches), n_batches)


def split(lengths: Sequence[int], at_once: int = 1, limit: int = PART_TOKENS, least: int = 1) -> list[range]:
    """Cut rows into ranges of at most `limit` tokens with padding, never within a group of `at_once` rows (a pair).

    There are at least `least` ranges, where there are so many groups.
    """
    parts, start, longest = [], 0, 0
    rows = at_once * max(1, len(lengths) // at_once // least)
    for group in range(0, len(lengths), at_once):
        grown = max(longest, *lengths[group : group + at_once])
        if group > start and (grown * (group + at_once - start) > limit or (group - start >= rows and len(parts) < least - 1)):
            parts.append(range(start, group))
            start, grown = group, max(lengths[group : group + at_once])
        longest = grown
    return [*parts, range(start, len(lengths))]


def collate(rows: Sequence[Encoded], key: tuple[str, int, int]) -> Part:
    """Tensors of some rows. Every row has a token with loss, and none at its first place."""
    import torch

    time = -(-(max(len(row.ids) for row in rows) - 1) // MULTIPLE) * MULTIPLE
    ids = torch.zeros(len(rows), time, dtype=torch.long)
    positions, targets, weights, row_of, scored = [], [], [], [], []
    for number, row in enumerate(rows):
        ids[number, : len(row.ids) - 1] = torch.tensor(row.ids[:-1])
        for place, weight in enumerate(row.weights):
            if weight:
                positions.append(number * time + place - 1)
                targets.append(row.ids[place])
                weights.append(weight)
                row_of.append(number)
                scored.append(row.scored[place])
    return Part(
        key,
        ids,
        torch.tensor(positions),
        torch.tensor(targets),
        torch.tensor(weights, dtype=torch.float32),
        row_of,
        scored,
        len(rows),
    )
