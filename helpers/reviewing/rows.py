"""The rows of a training file by their lines, and how to tell that one is still the same.

Knows JSONL and the three kinds of rows. Knows nothing of decisions.

    file = RowFile(Path("tickets_prepared.jsonl"))
    file.row(17), mark_of(file.row(17))     # the row in line 17, and its content hash
    file.check()                            # raises FormatError if the file has changed since
"""

import hashlib
import json
import random
from functools import cached_property
from pathlib import Path
from typing import Any

from helpers.encoding import decode
from helpers.errors import FileError, FormatError
from helpers.jsonl import jsonl_rows
from helpers.preparation.endings import Style, style_of
from helpers.preparation.rules import kind_name, message_error
from helpers.preparation.table import Pairs, Source
from helpers.tokens import count_row, count_rows

Row = dict[str, Any]

ORDERS = ("random", "longest", "shortest", "file")
KIND_FIELDS = ("prompt", "completion", "messages", "input")


class RowFile:
    """A JSONL file as it was when opened. `rows` and `texts` have the row, and its JSON as it stands, by line."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() != ".jsonl":
            raise FormatError(f"expected a training file in JSONL, met the suffix {path.suffix!r}: prepare it first, with "
                              "cookbook prepare-data -f FILE", path=path)
        self.path = path
        data = self._read()
        text = decode(data, path)
        self.rows: dict[int, Row] = dict(jsonl_rows(text, path))
        lines = text.split("\n")
        self.texts = {line: lines[line - 1].strip() for line in self.rows}
        if not self.rows:
            raise FormatError("there are no rows in it", path=path)
        if not any(name in row for row in self.rows.values() for name in KIND_FIELDS):
            line, row = next(iter(self.rows.items()))
            raise FormatError(f"it holds no training rows: this one has the fields {', '.join(map(repr, row)) or 'none'}, but "
                              "neither 'prompt', 'messages' nor 'input': prepare it first, with cookbook prepare-data -f FILE",
                              path=path, line=line)
        self._digest = hashlib.sha256(data).digest()

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise FileError(f"{self.path}: cannot be read ({error.strerror}): check the name and the folder") from error

    def check(self) -> None:
        """Raise FormatError if the file is not the one that was opened: its lines may be other rows by now."""
        if hashlib.sha256(self._read()).digest() != self._digest:
            raise FormatError("the file has changed since it was opened: open it again, with review(...)", path=self.path)

    def row(self, line: int) -> Row:
        """The row in a line. Raises FormatError where there is none."""
        if isinstance(line, bool) or not hasattr(line, "__index__"):
            raise FormatError(f"expected the number of a line, met {line!r}", path=self.path, field="line")
        if line not in self.rows:
            raise FormatError(f"there is no row in this line: the file has {len(self.rows)} rows in the lines {min(self.rows)} "
                              f"to {max(self.rows)}", path=self.path, line=int(line), field="line")
        return self.rows[line]

    @cached_property
    def style(self) -> Style:
        """The separator and the stop sequence in use; none for rows of messages."""
        pairs = {line: row for line, row in self.rows.items() if is_pair(row) and problem(row) is None}
        prompts, completions = ([row[name] for row in pairs.values()] for name in ("prompt", "completion"))
        return style_of(Pairs(Source(self.path, "JSONL"), list(pairs), prompts, completions)) if pairs else Style()

    def sample(self, n: int | None, order: str, seed: int, model: str) -> list[int]:
        """The lines to show: `n` of them, or all. Rows that cannot be counted come last."""
        lines = list(self.rows)
        n = len(lines) if n is None else min(n, len(lines))
        if order == "random":
            return random.Random(seed).sample(lines, n)
        if order == "file":
            return lines[:n]
        counts = self._counts(model)
        sign = -1 if order == "longest" else 1
        return sorted(lines, key=lambda line: (line not in counts, sign * counts.get(line, 0)))[:n]

    def _counts(self, model: str) -> dict[int, int]:
        """Tokens by line, of the rows that can be counted."""
        whole = [line for line, row in self.rows.items() if problem(row) is None]
        if all(is_pair(self.rows[line]) for line in whole):  # together they are counted several times as fast
            return dict(zip(whole, count_rows([self.rows[line] for line in whole], model).tolist(), strict=True))
        return {line: count for line in whole if (count := tokens(self.rows[line], model)) is not None}


def mark_of(row: Row) -> str:
    """A hash of what a row says."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]


def is_pair(row: Row) -> bool:
    """Whether a row wants to be a prompt and its completion, rather than messages."""
    return "messages" not in row and "input" not in row


def problem(row: Row) -> str | None:
    """Why nothing can be learned from a row as it is; None if something can."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is no character"
    if not is_pair(row):
        return message_error(row)
    for name in ("prompt", "completion"):
        if not isinstance(row.get(name), str):
            return f"{name} is {kind_name(row[name])}, not a text" if name in row else f"{name} is missing"
    return None if row["completion"].strip() else "completion is empty: there is nothing to learn"


def tokens(row: Row, model: str) -> int | None:
    """Tokens of a row; None for one that cannot be counted."""
    if problem(row) is not None:
        return None
    try:
        return count_row(row, model)
    except (AttributeError, KeyError, TypeError):  # tools of another shape than the API's
        return None
