"""JSON and JSON Lines: rows in, rows out.

Knows JSON and where in a file each row stands. Knows nothing of prompts or messages.

    write_jsonl(rows, "training.jsonl")
    rows = read_jsonl("training.jsonl")
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from helpers.encoding import decode
from helpers.errors import FormatError

SPACE = re.compile(r"\s*")
CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)', re.DOTALL)  # the first one outside of texts is in group 1
ROW_FIELDS = {"prompt", "completion", "messages", "input"}  # an object with one of these is a row, not a container

Row = dict[str, Any]


def read_jsonl(path: Path | str, *, encoding: str | None = None) -> list[Row]:
    """The rows of a JSONL file. Raises FormatError with the line of the first one that is no JSON object."""
    path = Path(path)
    return [row for _, row in jsonl_rows(decode(path.read_bytes(), path, encoding), path)]


def jsonl_rows(text: str, path: Path) -> Iterator[tuple[int, Row]]:
    """The line number and the row of each line of JSONL that is not blank."""
    # Split at newlines alone: str.splitlines also splits at U+2028, which JSON allows within a string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _loads(line, path, number)
            if not isinstance(row, dict):
                raise FormatError(f"expected a JSON object, met {_kind(row)}: each line is one {{...}}", path=path,
                                  line=number)
            yield number, row


def json_rows(text: str, path: Path) -> tuple[list[int], list[Row]]:
    """The rows of a JSON file (records, columns, or either of them inside an object) and the line of each.

    Lines are known for records at the top level; elsewhere rows are counted from 1. A file that is JSONL in truth is
    read as such.
    """
    try:
        value = _loads(text, path)
    except FormatError:
        if text.lstrip().startswith("{") and "\n" in text.strip():
            numbered = list(jsonl_rows(text, path))
            return [number for number, _ in numbered], [row for _, row in numbered]
        raise
    rows = _records(value, path)
    numbers = list(range(1, len(rows) + 1))
    return (_lines_of_items(text) if rows is value else numbers), rows


def jsonl_lines(rows: Iterable[Mapping[str, Any]] | pd.DataFrame) -> Iterator[str]:
    """Each row as a line of JSON, with its newline. Raises FormatError with the number of a row that JSON cannot hold."""
    if isinstance(rows, pd.DataFrame):
        rows = rows.to_dict("records")
    for number, row in enumerate(rows, 1):
        try:
            line = json.dumps(dict(row), ensure_ascii=False, allow_nan=False)
            line.encode()
        except (TypeError, ValueError) as error:
            raise FormatError(f"cannot be written as JSON ({error}): fill or drop missing values, and convert what is "
                              "neither text, number nor list", row=number) from error
        yield line + "\n"


def write_jsonl(rows: Iterable[Mapping[str, Any]] | pd.DataFrame, path: Path | str) -> Path:
    """Write rows as JSONL in UTF-8. The file appears whole or not at all; one that was there is replaced."""
    return write_whole((line.encode() for line in jsonl_lines(rows)), path)


def write_whole(lines: Iterable[bytes], path: Path | str) -> Path:
    """Write a file that appears whole or not at all; one that was there is replaced."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with unfinished.open("xb") as file:
            file.writelines(lines)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def json_trouble(error: json.JSONDecodeError) -> str:
    """What is wrong with a text that is not JSON, in words that Python before 3.13 lacks."""
    before = error.doc[: error.pos].rstrip()
    after = error.doc[error.pos :].lstrip()[:1]
    if before.endswith(",") and after in ("]", "}"):
        return f"there is a comma before the closing {after}"
    return error.msg.removesuffix(" at")


def _loads(text: str, path: Path, line: int | None = None) -> Any:
    def refuse(constant: str) -> NoReturn:
        place = next((found.start() for found in CONSTANT.finditer(text) if found[1]), 0)
        raise FormatError(f"{constant} is not JSON: write null, or leave the row out", path=path,
                          line=line or text.count("\n", 0, place) + 1)

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" + (f" of {text.strip()[:40]!r}" if line else "")
        raise FormatError(f"not valid JSON: {json_trouble(error)} at {place}", path=path, line=line or error.lineno) from error
    except RecursionError as error:
        raise FormatError("the JSON is nested too deeply", path=path, line=line) from error


def _records(value: Any, path: Path) -> list[Row]:
    if isinstance(value, list):
        for number, row in enumerate(value, 1):
            if not isinstance(row, dict):
                raise FormatError(f"expected an object, met {_kind(row)}: write [{{...}}, ...]", path=path, row=number)
        return value
    if not isinstance(value, dict):
        raise FormatError(f"expected a list of objects, met {_kind(value)}", path=path)
    if (rows := _frame_rows(value)) is not None:
        return _records(rows, path)
    columns = list(value.values())
    if columns and all(isinstance(column, list) and not any(isinstance(cell, dict) for cell in column)
                       for column in columns):
        if len({len(column) for column in columns}) > 1:
            lengths = ", ".join(f"{name!r} {len(column)}" for name, column in value.items())
            raise FormatError(f"the columns have different lengths: {lengths}", path=path)
        return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]
    if not ROW_FIELDS & value.keys():
        inner = [cell for cell in columns if isinstance(cell, list | dict)]
        if len(inner) == 1:
            return _records(inner[0], path)
        if inner:
            raise FormatError(f"cannot tell which of {', '.join(map(repr, value))} has the rows: keep that one alone",
                              path=path)
    return [value]


def _frame_rows(value: Row) -> list[Row] | None:
    """The rows, if this is a table as pandas writes it: columns or rows by number, {"columns", "data"} or {"schema", "data"}."""
    if value.keys() == {"schema", "data"} and isinstance(value["data"], list):
        return value["data"]
    names, data = value.get("columns"), value.get("data")
    if value.keys() - {"index"} == {"columns", "data"} and isinstance(names, list) and isinstance(data, list) and all(
            isinstance(cells, list) and len(cells) == len(names) for cells in data):
        return [dict(zip(map(str, names), cells, strict=True)) for cells in data]
    parts = list(value.values())
    if not parts or not all(isinstance(part, dict) and part for part in parts):
        return None
    if all(map(str.isdecimal, value)):
        return parts
    if all(part.keys() == parts[0].keys() and all(map(str.isdecimal, part)) for part in parts):
        return [{name: column[row] for name, column in value.items()} for row in parts[0]]
    return None


def _lines_of_items(text: str) -> list[int]:
    """The line on which each item of a JSON list begins. The text is known to be valid."""
    decoder, numbers, line, counted = json.JSONDecoder(), [], 1, 0
    position = SPACE.match(text, text.index("[") + 1).end()
    while text[position] != "]":
        line, counted = line + text.count("\n", counted, position), position
        numbers.append(line)
        _, position = decoder.raw_decode(text, position)
        position = SPACE.match(text, position).end()
        if text[position] == ",":
            position = SPACE.match(text, position + 1).end()
    return numbers


def _kind(value: Any) -> str:
    return {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
