"""Rows that say the same as others: exactly, or nearly.

Knows rows by their keys (`look.py`) and near-duplicates through `near.py`.
"""

import numpy as np

from helpers.preparation.findings import Finding, plural, the
from helpers.preparation.fixes import drop, gists_at
from helpers.preparation.keys import first_of
from helpers.preparation.look import Look
from helpers.preparation.near import clusters


def duplicates(look: Look) -> Finding | None:
    """Rows that are the same as an earlier one."""
    places = np.flatnonzero(look.answered & ~look.first)
    if not len(places):
        return None
    return Finding("duplicate-rows", "warning",
                   f"{plural(len(places), 'row is', 'rows are')} the same as an earlier one.",
                   "A repeated row counts double in training, and one that stands in both parts of a split makes the "
                   "validation worthless.", look.table.lines[places], gists_at(look, places),
                   drop(look, places, f"Drop {the(len(places), 'repeated row')}.", "it is the same as an earlier row"))


def near_clusters(look: Look) -> np.ndarray:
    """For each row the number of its cluster: rows of one cluster ask nearly the same."""
    def make() -> np.ndarray:
        if look.task == "open-ended":
            return clusters(look.answers(), len(look.table), look.answer)
        if look.pairs is None:
            # What is said before every conversation would make all of them alike.
            return clusters(map(look.table.gist, range(len(look.table))), len(look.table), look.table.gist)
        return clusters(look.questions(), len(look.table), look.question)

    return look.content("near", make)


def near_duplicates(look: Look) -> Finding | None:
    """Rows whose prompts (for open-ended tasks: completions) are nearly those of an earlier row."""
    kept = np.flatnonzero(look.kept)
    numbers, questions = near_clusters(look)[kept], look.question_keys[kept]
    # Equal prompts are told of by other checks, as repeated rows or as rows whose answers differ.
    new = first_of(questions) | (look.task == "open-ended")
    places = kept[new & ~first_of(numbers)]
    if not len(places):
        return None
    return Finding("near-duplicates", "advice",
                   f"{plural(len(places), 'row is', 'rows are')} nearly the same as an earlier one.",
                   "They teach little, and on both sides of a split they would flatter the model: here they stay on one side.",
                   look.table.lines[places], gists_at(look, places),
                   drop(look, places, f"Drop {the(len(places), 'row')}.", "it is nearly the same as an earlier row",
                        recommended=False))
