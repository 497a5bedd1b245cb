"""Training rows in memory, with the line that each came from and an account of those that were dropped.

`Pairs` holds prompt-completion rows column by column, `Chats` rows of messages. Both show every row to the checks as a
question and an answer. Knows nothing of files, findings or fixes.

    table = Pairs(Source(Path("a.csv"), "CSV"), lines=[2, 3], prompts=["a", "b"], completions=["x", "y"])
    table.keep(mask, "it has no completion")
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from helpers.errors import FormatError
from helpers.preparation.messages import OPENING, Row, last_answer, map_messages, message_text, renamed, transcript
from helpers.preparation.rules import message_error

CHUNK = 10_000  # rows that are changed together
Kind = str  # "completion", "chat" or "preference"


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row of the file that cannot stand in the table, and why."""

    line: int
    why: str
    text: str = ""


@dataclass(slots=True)
class Source:
    """Where rows came from and how they were read."""

    path: Path
    format: str  # "CSV", "JSONL", ...
    encoding: str = "utf-8"
    sheet: str = ""
    other_sheets: list[str] = field(default_factory=list)
    unit: str = "line"  # what the numbers of `lines` count: "line", or "row" of a sheet or of a JSON list
    prompt_columns: list[str] = field(default_factory=list)
    completion_column: str = ""
    left_out: list[str] = field(default_factory=list)  # columns that are neither
    left_out_lines: list[int] = field(default_factory=list)  # the rows that have them, where not all do
    as_it_stands: bool = False  # whether the file is JSONL, which could be uploaded without us
    repairs: list[str] = field(default_factory=list)  # sentences: what the API would not take, put right in reading
    notes: list[str] = field(default_factory=list)  # sentences: what else the reader had to decide


class Table(ABC):
    """Rows of one kind. `lines[i]` is the place of row i in the file, `groups[i]` the name of its source."""

    fields: ClassVar[tuple[str, ...]]

    def __init__(self, source: Source, lines: Sequence[int], *, kind: Kind, groups: Sequence[Any] | None = None,
                 misfits: Sequence[Misfit] = ()) -> None:
        self.source, self.kind, self.misfits = source, kind, list(misfits)
        self.lines = np.asarray(lines, dtype=np.int64)
        self.groups = None if groups is None else np.asarray(groups, dtype=object)
        self.rows_read = len(self.lines) + len(self.misfits)
        self.dropped: list[tuple[int, str]] = []
        # Arrays with an entry for each row, kept because they are dear: those that hold for any way of writing the same
        # content, and those that a change of a single letter makes wrong.
        self.of_content: dict[str, np.ndarray] = {}
        self.of_letters: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def keep(self, mask: np.ndarray, why: str | Sequence[str]) -> None:
        """Drop the rows where the mask is False, and put them on the account; for one reason, or each for its own."""
        gone = self.lines[~mask].tolist()
        self.dropped += list(zip(gone, [why] * len(gone) if isinstance(why, str) else why, strict=True))
        self.lines = self.lines[mask]
        self.groups = None if self.groups is None else self.groups[mask]
        for kept in (self.of_content, self.of_letters):
            kept.update({name: values[mask] for name, values in kept.items()})
        self._keep(mask.tobytes())

    def leave_out_misfits(self) -> None:
        self.dropped += [(misfit.line, misfit.why) for misfit in self.misfits]
        self.misfits = []

    def changed(self) -> None:
        """The letters of some rows are other ones now."""
        self.of_letters.clear()

    @abstractmethod
    def _keep(self, mask: bytes) -> None: ...

    @abstractmethod
    def questions(self) -> Iterator[str]:
        """What each row asks, as it stands."""

    @abstractmethod
    def answers(self) -> Iterator[str]:
        """What each row teaches to answer, as it stands."""

    @abstractmethod
    def question(self, place: int) -> str:
        """One of the questions."""

    @abstractmethod
    def answer(self, place: int) -> str:
        """One of the answers."""

    def gist(self, place: int) -> str:
        """What sets a row apart from others: what it asks, without what is said before every conversation; else its answer."""
        return self.question(place).strip() or self.answer(place).strip()

    @abstractmethod
    def row(self, place: int) -> Row:
        """A line of the training file."""

    @abstractmethod
    def texts(self, place: int) -> list[str]:
        """All texts of a row."""

    @abstractmethod
    def edit(self, places: Sequence[int], function: Callable[[str], str], field: str | None = None) -> None:
        """Put `function` of a text in the place of the text, in the given rows; in all their texts, or in one field."""

    def rows(self) -> Iterator[Row]:
        return map(self.row, range(len(self)))

    def at(self, line: int) -> Row:
        """The row that came from a line of the file."""
        places = np.flatnonzero(self.lines == line)
        if not len(places):
            raise FormatError("there is no row, or not any more", path=self.source.path, line=line)
        return self.row(int(places[0]))


class Pairs(Table):
    """Prompt-completion rows. Cells may still be None (missing) or values that are no text."""

    fields = ("prompt", "completion")

    def __init__(self, source: Source, lines: Sequence[int], prompts: list[Any], completions: list[Any],
                 **options: Any) -> None:
        super().__init__(source, lines, kind="completion", **options)
        self.columns = {"prompt": prompts, "completion": completions}
        self._of_text: set[str] = set()  # columns known to hold texts alone: no edit changes that

    @property
    def prompts(self) -> list[Any]:
        return self.columns["prompt"]

    @property
    def completions(self) -> list[Any]:
        return self.columns["completion"]

    def _keep(self, mask: bytes) -> None:
        for column in self.columns.values():
            column[:] = compress(column, mask)

    def is_text(self, field: str) -> bool:
        """Whether all cells of a column are texts."""
        if field not in self._of_text and set(map(type, self.columns[field])) <= {str}:
            self._of_text.add(field)
        return field in self._of_text

    def cells(self, field: str) -> Iterator[str]:
        """The cells of a column as texts."""
        return iter(self.columns[field]) if self.is_text(field) else map(as_text, self.columns[field])

    def questions(self) -> Iterator[str]:
        return self.cells("prompt")

    def answers(self) -> Iterator[str]:
        return self.cells("completion")

    def question(self, place: int) -> str:
        return as_text(self.prompts[place])

    def answer(self, place: int) -> str:
        return as_text(self.completions[place])

    def row(self, place: int) -> Row:
        return {name: column[place] for name, column in self.columns.items()}

    def texts(self, place: int) -> list[str]:
        return [as_text(column[place]) for column in self.columns.values()]

    def edit(self, places: Sequence[int], function: Callable[[str], str], field: str | None = None) -> None:
        for name in (field,) if field else self.fields:
            column = self.columns[name]
            for place in places:
                if isinstance(column[place], str):
                    column[place] = function(column[place])
        self.changed()

    def edit_many(self, places: np.ndarray, function: Callable[[list[str]], Iterable[str]], field: str) -> None:
        """As `edit`, with a function of many texts of a column."""
        column, whole = self.columns[field], len(places) == len(self) and self.is_text(field)
        for start in range(0, len(places), CHUNK):
            if whole:
                column[start : start + CHUNK] = function(column[start : start + CHUNK])
                continue
            some = [place for place in places[start : start + CHUNK].tolist() if isinstance(column[place], str)]
            for place, text in zip(some, function([column[place] for place in some]), strict=True):
                column[place] = text
        self.changed()


class Chats(Table):
    """Rows of messages: conversations, or preferences between two answers. Their shape may still be wrong."""

    fields = ("messages",)

    def __init__(self, source: Source, lines: Sequence[int], content: list[Row], *, kind: Kind, **options: Any) -> None:
        super().__init__(source, lines, kind=kind, **options)
        self.content = [renamed(row) for row in content]

    def _keep(self, mask: bytes) -> None:
        self.content = list(compress(self.content, mask))

    def errors(self) -> list[str | None]:
        """Why the API would refuse each row."""
        return [message_error(row) for row in self.content]

    def questions(self) -> Iterator[str]:
        return (self._parts(row)[0] for row in self.content)

    def answers(self) -> Iterator[str]:
        return (self._parts(row)[1] for row in self.content)

    def question(self, place: int) -> str:
        return self._parts(self.content[place])[0]

    def answer(self, place: int) -> str:
        return self._parts(self.content[place])[1]

    def _parts(self, row: Row) -> tuple[str, str]:
        """What comes before the last turn of the assistant, and that turn; of a preference, its preferred answer."""
        if message_error(row):
            return "", ""
        if self.kind == "preference":
            return transcript(row["input"]["messages"]), transcript(row["preferred_output"])
        messages = row["messages"]
        last = last_answer(messages)
        return transcript(messages[:last]), message_text(messages[last])

    def gist(self, place: int) -> str:
        row = self.content[place]
        if message_error(row):
            return json.dumps(row, ensure_ascii=False)
        messages = row["input"]["messages"] if self.kind == "preference" else row["messages"][: last_answer(row["messages"])]
        return "\n".join(message_text(message) for message in messages if message["role"] not in OPENING) or self.answer(place)

    def row(self, place: int) -> Row:
        return self.content[place]

    def texts(self, place: int) -> list[str]:
        found: list[str] = []
        self.cleaned(place, lambda text: found.append(text) or text)
        return found

    def cleaned(self, place: int, function: Callable[[str], str]) -> Row:
        """A row with `function` of each of its texts in their places."""
        row = self.content[place]
        return row if message_error(row) else map_messages(row, function)

    def edit(self, places: Sequence[int], function: Callable[[str], str], field: str | None = None) -> None:
        """`field` "answer": the last turn of the assistant alone."""
        for place in places:
            if field == "answer":
                messages = list(self.content[place]["messages"])
                last = last_answer(messages)
                messages[last] = {**messages[last], "content": function(message_text(messages[last]))}
                self.content[place] = {**self.content[place], "messages": messages}
            else:
                self.content[place] = self.cleaned(place, function)
        self.changed()


def as_text(value: Any) -> str:
    """A cell as it would stand in a training file: text as it is, nothing as "", all else as JSON."""
    if value.__class__ is str:
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
