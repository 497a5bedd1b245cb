"""Who speaks when: the order of roles in conversations, and preferences that prefer nothing.

Knows rows of messages whose shape is right. Knows nothing of what the messages say.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from helpers.preparation.findings import Finding, plural, the
from helpers.preparation.fixes import drop
from helpers.preparation.look import Look
from helpers.preparation.messages import OPENING, Row


def turn_order(look: Look) -> Finding | None:
    """Conversations in which the turns do not alternate, or end with somebody who is not learnt."""
    if look.table.kind != "chat":
        return None
    problems = {place: problem for place, problem in enumerate(_sound(look, _order)) if problem}
    if not problems:
        return None
    places, unit = np.array(list(problems)), look.table.source.unit
    return Finding("turn-order", "warning",
                   f"{plural(len(places), 'conversation has', 'conversations have')} turns in an odd order.",
                   "A model is asked in one order only: system, then user and assistant in turns. What follows the assistant's "
                   "last turn is never learnt.", look.table.lines[places],
                   [f"{unit} {look.table.lines[place]}: {problem}" for place, problem in list(problems.items())[:3]])


def same_answers(look: Look) -> Finding | None:
    """Preferences between two answers that are the same."""
    if look.table.kind != "preference":
        return None
    places = np.flatnonzero([bool(same) for same in _sound(
        look, lambda row: row["preferred_output"] == row["non_preferred_output"])])
    if not len(places):
        return None
    return Finding("same-answers", "warning", f"{plural(len(places), 'row prefers', 'rows prefer')} an answer to itself.",
                   "There is nothing to learn from it.", look.table.lines[places],
                   fix=drop(look, places, f"Drop {the(len(places), 'row')}.", "both of its answers are the same"))


def _sound(look: Look, function: Callable[[Row], object]) -> list[object]:
    return [function(row) if sound else None for row, sound in zip(look.table.rows(), look.sound, strict=True)]


def _order(row: Row) -> str:
    roles = [message["role"] for message in row["messages"]]
    if any(role in OPENING for role in roles[1:]):
        return f"{next(role for role in roles[1:] if role in OPENING)} after the beginning"
    if roles[-1] != "assistant":
        return f"the last turn is the {roles[-1]}'s"
    spoken = [role for role in roles if role not in OPENING]
    if spoken[0] == "assistant":
        return "nobody asks before the first answer"
    twice = next((role for role, following in pairwise(spoken) if role == following == "user"), None)
    return "the user speaks twice in a row" if twice else ""
