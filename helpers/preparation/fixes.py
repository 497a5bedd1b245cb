"""The two ways in which a fix changes a table: rows are dropped, or texts are edited.

Knows tables and fixes. Knows nothing of the reasons.

    drop(look, mask, "Drop the 3 rows.", "it has no completion")
    edit(look, places, str.strip, "Strip the 3 completions.", field="completion")
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from helpers.preparation.findings import Fix, Preview, excerpt
from helpers.preparation.look import Look
from helpers.preparation.table import as_text

SHOWN = 3  # rows of a preview
EXCERPT = 60  # characters


def drop(look: Look, places: np.ndarray, what: str, why: str | Sequence[str], *, recommended: bool = True,
         foreseen: bool = True) -> Fix:
    """A fix that drops the rows at `places`; `why`, for all or for each, is what their owner will read on the account.

    `foreseen`: the checks left these rows out of account from the start.
    """
    def apply() -> None:
        mask = np.ones(len(look.table), dtype=bool)
        mask[places] = False
        look.table.keep(mask, why)
        (look.changed if foreseen else look.forget)()

    def preview() -> list[Preview]:
        return [(int(look.table.lines[place]), excerpt(look.table.gist(int(place)), EXCERPT), None) for place in places[:SHOWN]]

    return Fix(what, apply, preview, recommended=recommended)


def edit(look: Look, places: np.ndarray, function: Callable[[str], str], what: str, *, field: str | None = None,
         recommended: bool = True, of_many: Callable[[list[str]], Iterable[str]] | None = None) -> Fix:
    """A fix that puts `function` of a text in its place, in the rows at `places`; in one field, or in all texts.

    `of_many` is the function of many texts of a column, where that is faster.
    """
    def apply() -> None:
        if of_many is not None and look.pairs is not None:
            look.pairs.edit_many(places, of_many, field)
        else:
            look.table.edit(places.tolist(), function, field)
        look.changed()

    def preview() -> list[Preview]:
        found = []
        for place in places[:SHOWN].tolist():
            texts = look.table.texts(place) if field is None else [look.table.texts(place)[look.table.fields.index(field)]]
            before = next((text for text in texts if function(text) != text), texts[0])
            found.append((int(look.table.lines[place]), *difference(before, function(before))))
        return found

    return Fix(what, apply, preview, recommended=recommended)


def shown(look: Look, place: int) -> str:
    """A row on one line."""
    return " | ".join(look.table.texts(int(place)))


def difference(before: str, after: str) -> tuple[str, str]:
    """Excerpts of two texts around the first place where they differ."""
    same = next((number for number, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]),
                min(len(before), len(after)))
    start = max(0, same - EXCERPT // 2)
    return excerpt(before[start:], EXCERPT), excerpt(after[start:], EXCERPT)


def gists_at(look: Look, places: np.ndarray) -> list[str]:
    """What a few of the rows ask, each once."""
    return list(dict.fromkeys(excerpt(look.table.gist(place)) for place in places[:50].tolist()))[:SHOWN]


def texts_at(texts: Sequence[Any], places: np.ndarray, *, end: bool = False) -> list[str]:
    """A few of the texts, each once; of long ones the beginning, or the end."""
    return list(dict.fromkeys(excerpt(as_text(texts[place]), end=end) for place in places[:50].tolist()))[:SHOWN]
