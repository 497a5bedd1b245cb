"""Entities by exact match: precision, recall, F1, over texts and by type, and what kinds of errors there are.

Knows lists of names, one list for each text. Knows nothing of models. An entity counts as found if it is written just as
in the truth; said twice, it counts once as found and once as wrong.

    said = [read_entities(text) for text in asked.texts]
    entity_scores(truth, said)         # precision, recall, f1 and the interval of f1
    recall_by_type(truth, types, said)
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import FormatError
from helpers.measures.asking import interval

NOTHING = "none"  # what stands for an empty list: a completion may not be empty


def entity_names(value: Any) -> list[str]:
    """The names in a table's cell: a list of texts or of {"text": ...}, or one text with a name a line or between ";".

    An empty cell has none. Raises FormatError for anything else.
    """
    if value is None or value != value:  # NaN, as pandas reads an empty cell
        return []
    if isinstance(value, str):
        return read_entities(value.replace(";", "\n"))
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, list) and all(isinstance(item, Mapping) and "text" in item for item in value):
        return [item["text"] for item in value]
    raise FormatError(f"expected entities as a list of texts, or as one text with ';' between them, met {value!r:.60}: "
                      "convert the column first")


def entity_types(value: Any, other: str = "entity") -> list[str]:
    """The types in a table's cell, in the order of `entity_names`; `other` for each name that has none."""
    items = value if isinstance(value, list) else entity_names(value)
    return [item.get("type", other) if isinstance(item, Mapping) else other for item in items]


def write_entities(names: Iterable[str]) -> str:
    """One a line, in the order given; NOTHING where there are none."""
    return "\n".join(names) or NOTHING


def read_entities(text: str) -> list[str]:
    """The way back from `write_entities`, whatever a model has put around it: blank lines, bullets, spaces."""
    lines = (re.sub(r"^[-*•]\s+", "", line.strip()) for line in text.splitlines())
    names = [line for line in lines if line]
    return [] if [name.lower() for name in names] == [NOTHING] else names


def entity_counts(truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> pd.DataFrame:
    """A row for each text: how many entities are true, how many were said, and how many of those are right."""
    rows = [(len(wanted), len(given), (Counter(wanted) & Counter(given)).total())
            for wanted, given in zip(truth, said, strict=True)]
    return pd.DataFrame(rows, columns=["true", "said", "right"])


def f1_of(true: Sequence[int], said: Sequence[int], right: Sequence[int]) -> float:
    """F1 over all texts together (micro): 2 x right / (true + said); 0 where nothing is true and nothing was said."""
    together = np.sum(true) + np.sum(said)
    return float(2 * np.sum(right) / together) if together else 0.0


def entity_scores(truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> pd.Series:
    """precision, recall, f1 over all texts together, and from/to: the interval of f1 if other texts had been drawn."""
    counts = entity_counts(truth, said)
    right = counts["right"].sum()
    low, high = interval(counts["true"], counts["said"], counts["right"], score=f1_of)
    return pd.Series({"precision": right / max(counts["said"].sum(), 1), "recall": right / max(counts["true"].sum(), 1),
                      "f1": f1_of(counts["true"], counts["said"], counts["right"]), "from": low, "to": high})


def recall_by_type(truth: Sequence[Sequence[str]], types: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> pd.DataFrame:
    """A row for each type, the commonest first: its entities, those found, recall and its interval.

    Recall alone: what a model says carries no type, so a wrong name belongs to none.
    """
    found = pd.DataFrame([(number, kind, name in given)
                          for number, (wanted, kinds, given) in enumerate(zip(truth, types, said, strict=True))
                          for name, kind in zip(wanted, kinds, strict=True)], columns=["text", "type", "found"])
    rows = {}
    for kind, group in found.groupby("type"):
        texts = group.groupby("text")["found"].agg(["sum", "size"])
        low, high = interval(texts["sum"], texts["size"], score=lambda some, all_: some.sum() / all_.sum())
        rows[kind] = {"entities": len(group), "found": group["found"].sum(), "recall": group["found"].mean(),
                      "from": low, "to": high}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["entities", "found", "recall", "from", "to"])
    return table.sort_values("entities", ascending=False).astype({"entities": int, "found": int}).rename_axis("type")


def entity_errors(texts: Sequence[str], truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> pd.DataFrame:
    """A row for each error: the text's number, what was said, what is true, and the kind of error.

    Kinds: "wrong bounds" (one is part of the other), "not in the text", "no entity" (in the text, but not to be
    listed), "said twice", "missed".
    """
    rows = []
    for number, (text, wanted, given) in enumerate(zip(texts, truth, said, strict=True)):
        missed = [name for name in wanted if name not in given]
        seen: set[str] = set()
        for name in given:
            if name not in wanted or name in seen:
                near = next((true for true in missed if _overlap(name, true)), None)
                rows.append((number, name, near or "", _kind(name, near, text, seen)))
                missed = [true for true in missed if true != near]
            seen.add(name)
        rows += [(number, "", true, "missed") for true in missed]
    return pd.DataFrame(rows, columns=["text", "said", "true", "kind"])


def _kind(name: str, near: str | None, text: str, seen: set[str]) -> str:
    if name in seen:
        return "said twice"
    if near:
        return "wrong bounds"
    return "no entity" if name in text else "not in the text"


def _overlap(one: str, other: str) -> bool:
    return one in other or other in one
