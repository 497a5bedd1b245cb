"""What the preparation tool tells: findings, each with its lines, its reason and, where there is one, a fix.

Knows no files and no checks. A fix belongs to the state of the table in which it was found: apply it before anything else
is changed, or look again.

    for finding in inspect(table): print(finding.severity, finding.what, finding.lines)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Severity = Literal["error", "warning", "advice"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "advice")

ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
Preview = tuple[int, str, str | None]  # the line, the text before, the text after (None: the row is dropped)


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that cures a finding. `recommended`: taken by whoever takes every suggestion."""

    what: str  # an order, such as "Drop the 3 rows."
    apply: Callable[[], None]
    preview: Callable[[], list[Preview]] = list
    recommended: bool = True
    needed: bool = False  # without it nothing can be written


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was met, on however many rows. `kind` is its name for `--fix` and for programs."""

    kind: str
    severity: Severity
    what: str  # a sentence: what was met
    why: str  # a sentence: why it matters
    lines: Sequence[int] = ()
    examples: Sequence[str] = ()  # a few of the texts, as they stand
    fix: Fix | None = None
    by_writing: str = ""  # cured by the way the result is written, and how: nothing to decide


def plural(number: int, noun: str, plural_noun: str = "") -> str:
    """The number with its noun: "1 row", "2,000 rows"."""
    return f"{number:,} {noun if number == 1 else plural_noun or noun + 's'}"


def the(number: int, noun: str) -> str:
    """The number with its noun, as of things spoken of before: "the row", "the 3 rows"."""
    return f"the {noun}" if number == 1 else f"the {plural(number, noun)}"


def verb(number: int, singular: str, plural_form: str) -> str:
    """The form of a verb that goes with a number."""
    return singular if number == 1 else plural_form


def quoted(text: str) -> str:
    """A text on one line between quotation marks, with line breaks and what cannot be seen written out."""
    shown = (character if character.isprintable() else ESCAPES.get(character) or f"\\u{ord(character):04x}"
             for character in text.replace("\\", "\\\\"))
    return f'"{"".join(shown)}"'


def excerpt(text: str, length: int = 64, *, end: bool = False) -> str:
    """The beginning of a text on one line, or its end."""
    if len(text) <= length:
        return quoted(text)
    return "…" + quoted(text[-length:]) if end else quoted(text[:length]) + "…"


def name_lines(lines: Sequence[int], unit: str = "line", limit: int = 8) -> str:
    """Where to look: "line 7", "lines 2, 5-8 and 30 more"."""
    if not len(lines):
        return ""
    numbers = np.sort(np.asarray(lines, dtype=np.int64))
    ends = np.append(np.flatnonzero(np.diff(numbers) > 1), len(numbers) - 1)[:limit]
    runs = list(zip(numbers[[0, *ends[:-1] + 1]].tolist(), numbers[ends].tolist(), strict=True))
    more = len(lines) - sum(last - first + 1 for first, last in runs)
    text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"{unit if len(lines) == 1 else unit + 's'} {text}" + (f" and {more:,} more" if more > 0 else "")
