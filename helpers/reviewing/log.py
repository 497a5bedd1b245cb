"""What was decided about rows, in a file beside the data that only ever grows.

One JSON object a line: a decision with the content hash of its row, or the taking back of one. Knows nothing of the rows
themselves.

    log = Log(Path("tickets_prepared.review.jsonl"))
    log.add(Decision("drop", 23, mark, why="offensive"))
    log.decisions()                         # those that were not taken back, in order
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from helpers.errors import FileError, FormatError

ACTIONS = ("keep", "drop", "flag", "edit", "undo")


@dataclass(frozen=True, slots=True)
class Decision:
    """`mark` is the content hash of the row; `changes` has, of an edit, {"before": ..., "after": ...} by field."""

    action: str
    line: int
    mark: str
    why: str = ""
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    of: str = ""  # of an undo: the id of the decision that it takes back
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])  # of its own, as two notebooks may write at the same time


class Log:
    """The decisions in a file, which is there from the first one on. It is read anew each time: others may write to it, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable: list[int] = []  # its lines that a crash left unfinished, as of the last reading

    def decisions(self) -> list[Decision]:
        """Those that were not taken back, in order. Raises FormatError where the file holds something else than decisions."""
        self.unreadable, found = [], []
        for number, raw in enumerate(self._data().split(b"\n"), 1):
            if raw.strip():
                try:
                    value = json.loads(raw)
                except ValueError:
                    self.unreadable.append(number)
                else:
                    found.append(self._decision(value, number))
        taken_back = {decision.of for decision in found if decision.action == "undo"}
        return [decision for decision in found if decision.action != "undo" and decision.id not in taken_back]

    def add(self, decision: Decision) -> None:
        """Write a decision down. Raises FileError where that cannot be done."""
        line = json.dumps({name: value for name, value in asdict(decision).items() if value}).encode() + b"\n"
        data = self._data()
        try:
            with self.path.open("ab") as file:
                # What a crash left unfinished stays on a line of its own.
                file.write(line if not data or data.endswith(b"\n") else b"\n" + line)
        except OSError as error:
            raise FileError(f"{self.path}: the decision cannot be written down ({error.strerror}): copy the data into a folder "
                            "that you may write to") from error

    def _data(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise FileError(f"{self.path}: the decisions cannot be read ({error.strerror}): move what is there away") from error

    def _decision(self, value: Any, number: int) -> Decision:
        try:
            decision = Decision(**value)
        except TypeError:
            decision = None
        if decision is None or "id" not in value or not _is_whole(decision):
            raise FormatError("this is no decision about a row: decisions are kept under this name, so move the file away, or "
                              "take the line out", path=self.path, line=number)
        return decision


def _is_whole(decision: Decision) -> bool:
    texts = (decision.action, decision.mark, decision.why, decision.of, decision.id)
    return (decision.action in ACTIONS and isinstance(decision.line, int) and all(isinstance(text, str) for text in texts)
            and isinstance(decision.changes, dict)
            and all(isinstance(change, dict) and {"before", "after"} <= change.keys() for change in decision.changes.values()))
