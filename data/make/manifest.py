"""Brings data/manifest.json up to date: rows, columns and SHA-256 of each data set; the rest is kept as written.

Knows how each file is written from its entry: `encoding` (left out: UTF-8), `delimiter` (a comma; of TSV a tab), and of a
spreadsheet `sheet` and `header_row`. Rows are counted as they stand, broken ones too.

    python data/make/manifest.py
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl

DATA = Path(__file__).resolve().parent.parent
Described = tuple[int, list[str]]  # the number of rows, and the names of the columns


def _delimited(content: bytes, entry: dict[str, Any]) -> Described:
    delimiter = entry.get("delimiter", "\t" if entry["file"].endswith(".tsv") else ",")
    text = content.decode(entry.get("encoding", "utf-8"))
    header, *rows = (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row))
    return len(rows), header


def _lines(content: bytes, entry: dict[str, Any]) -> Described:
    lines = content.decode(entry.get("encoding", "utf-8")).splitlines()
    return len(lines), list(json.loads(lines[0]))


def _document(content: bytes, entry: dict[str, Any]) -> Described:
    value = json.loads(content)
    if isinstance(value, dict):  # rows under a key, or columns
        lists = [part for part in value.values() if isinstance(part, list)]
        if not lists:
            return len(next(iter(value.values()))), list(value)
        value = max(lists, key=len)
    return len(value), list(value[0])


def _sheet(content: bytes, entry: dict[str, Any]) -> Described:
    rows = list(openpyxl.load_workbook(io.BytesIO(content))[entry["sheet"]].iter_rows(values_only=True))
    header = rows[entry["header_row"] - 1]
    return sum(any(cell is not None for cell in row) for row in rows[entry["header_row"]:]), list(header)


def _text(content: bytes, entry: dict[str, Any]) -> Described:
    return sum(bool(line.strip()) for line in content.decode(entry.get("encoding", "utf-8")).split("\n")), []


READERS: dict[str, Callable[[bytes, dict[str, Any]], Described]] = {
    ".csv": _delimited, ".tsv": _delimited, ".jsonl": _lines, ".json": _document, ".xlsx": _sheet, ".txt": _text}


def describe(entry: dict[str, Any]) -> dict[str, object]:
    """Rows, columns and hash of a file, as it is on disk."""
    path = DATA / entry["file"]
    content = path.read_bytes()
    rows, columns = READERS[path.suffix](content, entry)
    return {"rows": rows, "columns": columns, "sha256": hashlib.sha256(content).hexdigest()}


def main() -> None:
    path = DATA / "manifest.json"
    entries = [{**entry, **describe(entry)} for entry in json.loads(path.read_text(encoding="utf-8"))]
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
