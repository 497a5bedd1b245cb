"""JSON Lines, read fast and forgivingly: good rows, and what is wrong with the others.

Knows JSON. Knows nothing of files and of what rows mean, but that most have a prompt and a completion: those go straight into
columns, which takes a fraction of the memory of dictionaries.

    rows = JsonLines().read(open("training.jsonl", "rb"))
"""

import json
import re
from array import array
from collections.abc import Iterable
from itertools import islice
from typing import Any, NoReturn

import orjson

from helpers.jsonl import json_trouble
from helpers.preparation.rules import kind_name
from helpers.preparation.table import Misfit, Row

MAX_LINE = 8 * 1024 * 1024  # bytes: what the API takes
LONG_NUMBER = re.compile(rb"\d{19}")  # orjson rounds whole numbers of more than 64 bits
SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "bot": "assistant", "assistant": "assistant",
            "model": "assistant", "system": "system", "tool": "tool"}
HALF_A_PAIR = "it holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"
CHUNK = 200  # lines that are parsed together
SHORT, SHARED = 40, 10_000  # characters; so many different short completions are kept once for all rows: classes


class NotUtf8(ValueError):
    """The file must be decoded as a whole first."""


class JsonLines:
    """Rows by line number: texts of plain prompt-completion rows in columns, other dictionaries, and misfits."""

    def __init__(self) -> None:
        self.lines = array("q")
        self.prompts: list[str] = []
        self.completions: list[str] = []
        self.others: list[tuple[int, Row]] = []
        self.misfits: list[Misfit] = []
        self._known: dict[str, str] = {}

    @property
    def good(self) -> int:
        return len(self.lines) + len(self.others)

    def read(self, lines: Iterable[bytes]) -> "JsonLines":
        """Take all lines in. Raises NotUtf8."""
        remaining, first = iter(lines), 1
        while some := list(islice(remaining, CHUNK)):
            self._take(first, some)
            first += len(some)
        return self

    def _take(self, first: int, lines: list[bytes]) -> None:
        """Lines of which the first has this number: together, or where one of them is no plain row, each by itself."""
        if columns := _plain(lines):
            self.lines.extend(range(first, first + len(lines)))
            self.prompts += columns[0]
            self.completions += self._shared(columns[1])
        elif len(lines) > 1:
            for number, line in enumerate(lines, first):
                self._take(number, [line])
        else:
            self._other(first, lines[0])

    def _shared(self, completions: list[str]) -> list[str]:
        """The completions, with one that was met before in the place of its equal."""
        if len(self._known) >= SHARED:
            return completions
        same = self._known.setdefault
        return [same(text, text) if len(text) < SHORT else text for text in completions]

    def _other(self, number: int, raw: bytes) -> None:
        if not raw.strip():
            return
        row = _parse(raw)
        if isinstance(row, str):
            self.misfits.append(Misfit(number, row, raw[:200].decode("utf-8", "replace").strip()))
        else:
            self.others.append((number, row))


def _plain(lines: list[bytes]) -> tuple[list[str], list[str]] | None:
    """The prompts and the completions of lines that all are plain prompt-completion rows."""
    try:
        rows = list(map(orjson.loads, lines))
        prompts, completions = [row["prompt"] for row in rows], [row["completion"] for row in rows]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None
    plain = {*map(type, prompts), *map(type, completions)} == {str} and {*map(len, rows)} == {2}
    return (prompts, completions) if plain and max(map(len, lines)) <= MAX_LINE else None


def _parse(raw: bytes) -> Row | str:
    """The dictionary on a line, or why there is none."""
    try:
        text = raw.decode("utf-8").rstrip("\r\n")  # or a text without its closing quote would seem to hold a line end
    except UnicodeDecodeError:
        raise NotUtf8 from None
    if len(raw) > MAX_LINE:
        return f"it is longer than {MAX_LINE // 1024**2} MB, which no model can take"
    if "\0" in text:
        return f"it holds a NUL byte at column {text.index(chr(0)) + 1}: the file is damaged"
    try:
        value = json.loads(text, parse_constant=_refuse)
        refuse_half_pairs(value)
    except json.JSONDecodeError as error:
        trouble = json_trouble(error)
        return f"it is not valid JSON ({trouble[0].lower()}{trouble[1:]} at column {error.colno})"
    except UnicodeEncodeError:
        return HALF_A_PAIR
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return f"it is not valid JSON ({error})"
    return value if isinstance(value, dict) else f"it is {kind_name(value)}, not an object {{...}}"


def refuse_half_pairs(value: Any) -> None:
    """Raise UnicodeEncodeError where a text in it cannot be written, as it has half a character."""
    json.dumps(value, ensure_ascii=False).encode()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def from_conversations(row: Row) -> Row:
    """The row with `messages` in the place of `conversations`, the form {"from", "value"} that some tools write."""
    turns = row.get("conversations")
    if "messages" in row or not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return row
    rest = {name: value for name, value in row.items() if name != "conversations"}
    return {"messages": [_message(turn) for turn in turns], **rest}


def _message(turn: dict[str, Any]) -> Row:
    if "from" not in turn or "value" not in turn:
        return turn
    speaker = turn["from"]
    rest = {name: value for name, value in turn.items() if name not in ("from", "value")}
    return {"role": SPEAKERS.get(speaker, speaker) if isinstance(speaker, str) else speaker, "content": turn["value"], **rest}
