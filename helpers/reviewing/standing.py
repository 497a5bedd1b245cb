"""How things stand: which decisions of the log hold for the rows of the file, and what they make of them.

Knows rows and decisions. Knows nothing of the screen.

    standing = stand(file, log)
    standing.row(31)                        # the row as edited
    standing.said(23)                       # "dropped: offensive"
"""

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from helpers.preparation.findings import name_lines
from helpers.reviewing.log import Decision, Log
from helpers.reviewing.rows import Row, RowFile, mark_of

PAST = {"keep": "kept", "drop": "dropped", "flag": "flagged", "edit": "edited"}
COLUMNS = ("line", "decision", "why", "field", "before", "after")


@dataclass(slots=True)
class Standing:
    """`verdicts` has the last keep, drop or flag of each line, `edits` the edits of each line in order."""

    file: RowFile
    valid: list[Decision] = field(default_factory=list)
    outdated: list[Decision] = field(default_factory=list)  # of rows that are not in their lines any more
    unreadable: list[int] = field(default_factory=list)  # lines of the log
    verdicts: dict[int, Decision] = field(default_factory=dict)
    edits: dict[int, list[Decision]] = field(default_factory=dict)

    def row(self, line: int) -> Row:
        """The row as edited."""
        row = self.file.row(line)
        for edit in self.edits.get(line, ()):
            row = {**row, **{name: change["after"] for name, change in edit.changes.items()}}
        return row

    def is_now(self, action: str, line: int) -> bool:
        """Whether a line is kept, dropped or flagged by now."""
        return line in self.verdicts and self.verdicts[line].action == action

    def said(self, line: int) -> str:
        """What was decided about a row, in words."""
        found = [sentence(self.verdicts[line])] if line in self.verdicts else []
        return ", ".join(found + ["edited"] * (line in self.edits)) or "not decided"

    def tally(self) -> str:
        """How many rows are kept, dropped, flagged and edited."""
        counts = Counter(verdict.action for verdict in self.verdicts.values())
        counts["edit"] = len(self.edits)
        return ", ".join(f"{counts[action]:,} {past}" for action, past in PAST.items() if counts[action]) or "nothing"

    def warnings(self) -> list[str]:
        """Sentences about what could not be applied or read."""
        found = []
        if self.outdated:
            lines = sorted({decision.line for decision in self.outdated})
            found.append(f"The file has changed since some decisions were made: they are not applied ({name_lines(lines)}), as "
                         "another row stands there now, or none. Decide again.")
        if self.unreadable:
            found.append(f"{name_lines(self.unreadable)[0].upper()}{name_lines(self.unreadable)[1:]} of the decisions cannot be "
                         "read, as after a crash while writing: a decision is missing there.")
        return found

    def table(self) -> pd.DataFrame:
        """The decisions that count, in order: the last verdict on each line, and each field that was edited."""
        rows = []
        for decision in self.valid:
            if decision.action == "edit":
                rows += [(decision.line, "edit", "", name, change["before"], change["after"])
                         for name, change in decision.changes.items()]
            elif decision is self.verdicts[decision.line]:
                rows.append((decision.line, decision.action, decision.why, "", "", ""))
        return pd.DataFrame(rows, columns=COLUMNS, dtype=object).astype({"line": "int64"})


def stand(file: RowFile, log: Log) -> Standing:
    """What the decisions in the log come to. One whose row is not in its line any more is set aside."""
    standing = Standing(file)
    for decision in log.decisions():
        row = file.rows.get(decision.line)
        if row is None or mark_of(row) != decision.mark:
            standing.outdated.append(decision)
            continue
        standing.valid.append(decision)
        if decision.action == "edit":
            standing.edits.setdefault(decision.line, []).append(decision)
        else:
            standing.verdicts[decision.line] = decision
    standing.unreadable = log.unreadable
    return standing


def sentence(decision: Decision) -> str:
    """A decision in words: "dropped: offensive"."""
    what = PAST[decision.action] + (f" ({', '.join(decision.changes)})" if decision.changes else "")
    return what + (f": {decision.why}" if decision.why else "")
