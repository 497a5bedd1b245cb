"""The review of a training file: a sample of its rows, what is decided about them, and the file written anew.

Knows rows, decisions and text. What is shown in JupyterLab is `view.py`'s.

    sheet = review("tickets_prepared.jsonl", n=12, order="random", seed=7)
    sheet.drop(23, why="offensive")
    sheet.edit(31, completion=" refund END")
    sheet.export("tickets_reviewed.jsonl")

Decisions are kept in tickets_prepared.review.jsonl, beside the data: opening the file again shows them.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.errors import FileError, FormatError
from helpers.jsonl import write_whole
from helpers.preparation.findings import plural
from helpers.preparation.limits import limit_of
from helpers.reviewing.editing import changes_of
from helpers.reviewing.log import Decision, Log
from helpers.reviewing.looks import LEGEND, parts, plain, visible
from helpers.reviewing.rows import ORDERS, RowFile, mark_of, problem, tokens
from helpers.reviewing.standing import Standing, sentence, stand
from helpers.tokens import is_exact
from helpers.widgets import has_front_end

MOST_LISTED = 50  # rows in a listing: nobody reads more at once
ORDER_NAMES = {"random": "in random order", "longest": "the longest first", "shortest": "the shortest first",
               "file": "in the order of the file"}


def review(path: Path | str, *, n: int | None = 12, order: str = "random", seed: int = 7, model: str = "") -> "Sheet":
    """A sample of `n` rows of a JSONL training file to look at, or all rows.

    `order`: "random" (by the seed), "longest", "shortest" or "file". Tokens are counted for `model`, whose limit is shown;
    without one, for the local API's. Raises FormatError, with the line, for a file that holds no training rows, and
    FileError for one that cannot be read.
    """
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise FormatError(f"n={n!r}: give the number of rows to show, from 1, or None for all", field="n")
    if order not in ORDERS:
        raise FormatError(f"order={order!r}: choose one of {', '.join(map(repr, ORDERS))}", field="order")
    file = RowFile(Path(path))
    in_order = ORDER_NAMES[order] + (f" (seed {seed})" if order == "random" else "")
    return Sheet(file, file.sample(n, order, seed, model), order=in_order, model=model)


@dataclass(frozen=True, slots=True, repr=False)
class Export:
    """What was written: `rows` of the input are `written` and `dropped` ones. `not_applied` names lines with old decisions."""

    path: Path
    rows: int
    written: int
    dropped: int
    edited: int  # of those written
    flagged: int
    not_applied: tuple[int, ...]
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        first = (f"{self.path}: {plural(self.rows, 'row')} in, {self.written:,} written ({self.edited:,} edited, "
                 f"{self.flagged:,} flagged), {self.dropped:,} dropped.")
        return "\n".join([first, *self.warnings])

    __repr__ = __str__


class Sheet:
    """Rows under review. `lines` are those of the sample; decisions can be about any row of the file, by its line."""

    def __init__(self, file: RowFile, lines: list[int], *, order: str, model: str) -> None:
        self.file, self.lines, self.order, self.model = file, lines, order, model
        self.log = Log(file.path.with_name(f"{file.path.stem}.review.jsonl"))
        self.on_change: list[Callable[[], None]] = []  # called after each decision
        self.standing()  # a log that is none is found now rather than after the first decision

    def standing(self) -> Standing:
        """How things stand by the log, to which others may have written."""
        return stand(self.file, self.log)

    def keep(self, line: int) -> str:
        """The row stays as it is, edits included. Brings back a row that was dropped."""
        return self._decide("keep", line)

    def drop(self, line: int, *, why: str = "") -> str:
        """The row is left out on export."""
        return self._decide("drop", line, why)

    def flag(self, line: int, *, why: str = "") -> str:
        """Somebody must look at the row again. It stays."""
        return self._decide("flag", line, why)

    def edit(self, line: int, /, **fields: Any) -> str:
        """Put other values into the row's own fields: prompt= and completion=, or messages= of a chat row.

        Raises FormatError for a field that the row has not, and for a change that leaves nothing to learn from.
        """
        standing, line = self._standing_of(line)
        self._refuse_dropped(standing, line)
        try:
            changes = changes_of(standing.row(line), fields)
        except FormatError as error:
            raise FormatError(str(error), path=self.file.path, line=line, field=error.field) from None
        if not changes:
            return f"Line {line} says so already: nothing to change."
        return self._add(Decision("edit", line, mark_of(self.file.row(line)), changes=changes))

    def undo(self) -> str:
        """Take back the last decision, whichever it was, also one of an earlier session; says which."""
        self.file.check()
        valid = self.standing().valid
        if not valid:
            return "There is no decision to take back."
        last = valid[-1]
        self.log.add(Decision("undo", last.line, last.mark, of=last.id))
        self._tell()
        return f"Taken back: line {last.line} {sentence(last)}. It is {self.standing().said(last.line)} now."

    @property
    def decisions(self) -> pd.DataFrame:
        """Those that count, in order: line, decision, why; for each field that was edited also field, before and after."""
        return self.standing().table()

    def export(self, path: Path | str) -> Export:
        """Write all rows of the file as JSONL: without the dropped ones, with the edits. The file appears whole or not at all.

        Raises FormatError for the input itself and for a file that has changed since, FileError where nothing can be written.
        """
        path = Path(path)
        self._refuse_target(path)
        self.file.check()
        standing = self.standing()
        kept = [line for line in self.file.rows if not standing.is_now("drop", line)]
        if not kept:
            raise FormatError("all rows are dropped: there is nothing to write", path=self.file.path)
        try:
            write_whole(self._written(standing, kept), path)
        except OSError as error:
            raise FileError(f"{path}: cannot be written ({error.strerror}): choose a folder that you may write to") from error
        return Export(path, rows=len(self.file.rows), written=len(kept), dropped=len(self.file.rows) - len(kept),
                      edited=sum(line in standing.edits for line in kept),
                      flagged=sum(standing.is_now("flag", line) for line in kept),
                      not_applied=tuple(sorted({decision.line for decision in standing.outdated})),
                      warnings=tuple(standing.warnings()))

    def show(self, line: int) -> str:
        """One row as text, whole: the listing cuts long ones."""
        standing = self.standing()
        return f"{self.heading(line, standing)}\n{self.text(line, standing)}"

    def heading(self, line: int, standing: Standing) -> str:
        """Where the row is, how long, and what was decided: "line 17, about 42 tokens (2 % of 2,048), kept"."""
        row = standing.row(line)
        found = [f"line {line}", self._length(tokens(row, self.model)), standing.said(line)]
        if trouble := problem(row):
            found.append(f"NOTHING CAN BE LEARNED FROM IT: {trouble}")
        return visible(", ".join(found))

    def text(self, line: int, standing: Standing, *, cut: bool = False) -> str:
        """The row as the model will see it."""
        return plain(parts(standing.row(line), self.file.style), cut=cut)

    def summary(self, standing: Standing) -> str:
        """Two lines: what is shown, and what was decided so far; more, if something went wrong."""
        first = f"{self.file.path}: {len(self.lines):,} of {plural(len(self.file.rows), 'row')}, {self.order}."
        return "\n".join([first, f"Decided so far: {standing.tally()}.", *standing.warnings()])

    def __repr__(self) -> str:
        standing = self.standing()
        shown = [f"{place:,} of {len(self.lines):,}: {self.heading(line, standing)}\n{self.text(line, standing, cut=True)}"
                 for place, line in enumerate(self.lines[:MOST_LISTED], 1)]
        if more := len(self.lines) - len(shown):
            shown.append(f"… and {plural(more, 'row')} more.")
        return "\n\n".join([f"{self.summary(standing)}\n{LEGEND}", *shown])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # The text goes along with the widget, for a page that is made of the notebook and has no kernel.
        widget = self.view.box._repr_mimebundle_() if has_front_end() else {}
        return {**widget, "text/plain": repr(self)}

    @cached_property
    def view(self) -> Any:
        """The widget: one for all the places where the sheet is shown."""
        from helpers.reviewing.view import ReviewWidget  # only here: text needs no widgets

        return ReviewWidget(self)

    def _decide(self, action: str, line: int, why: str = "") -> str:
        standing, line = self._standing_of(line)
        if not isinstance(why, str):
            raise FormatError(f"why is {why!r}: give the reason as text", path=self.file.path, line=line, field="why")
        if action == "flag":
            self._refuse_dropped(standing, line)
        decision = Decision(action, line, mark_of(self.file.row(line)), why=why)
        if line in standing.verdicts and sentence(standing.verdicts[line]) == sentence(decision):
            return f"Line {line} is {sentence(decision)} already."  # so a cell can be run twice
        return self._add(decision)

    def _standing_of(self, line: int) -> tuple[Standing, int]:
        self.file.row(line)
        self.file.check()
        return self.standing(), int(line)

    def _refuse_dropped(self, standing: Standing, line: int) -> None:
        if standing.is_now("drop", line):
            why = standing.verdicts[line].why
            raise FormatError("it was dropped" + (f" ({why})" if why else "") + f": bring it back first, with keep({line})",
                              path=self.file.path, line=line)

    def _add(self, decision: Decision) -> str:
        self.log.add(decision)
        self._tell()
        return f"Line {decision.line} {sentence(decision)}."

    def _tell(self) -> None:
        for changed in self.on_change:
            changed()

    def _length(self, count: int | None) -> str:
        if count is None:
            return "tokens unknown"
        limit = limit_of(self.model)
        share = f"{100 * count / limit:.0f} %" if count * 200 >= limit else "under 1 %"
        return f"{'' if is_exact(self.model) else 'about '}{plural(count, 'token')} ({share} of {limit:,})"

    def _refuse_target(self, path: Path) -> None:
        for ours, name in ((self.file.path, "the file under review, which is never changed"),
                           (self.log.path, "the file of the decisions")):
            if path.resolve() == ours.resolve() or (path.exists() and ours.exists() and path.samefile(ours)):
                raise FormatError(f"this is {name}: give another name", path=path)
        if path.is_dir():
            raise FormatError("this is a folder: give the name of a file in it", path=path)

    def _written(self, standing: Standing, kept: list[int]) -> Iterator[bytes]:
        """Rows that nobody edited as they stand in the file, to the letter."""
        for line in kept:
            text = json.dumps(standing.row(line), ensure_ascii=False) if line in standing.edits else self.file.texts[line]
            yield text.encode() + b"\n"
