"""Tables from the files that people have.

Knows file formats and delimiters; `encoding.py` knows encodings, `jsonl.py` JSON. Knows nothing of prompts. The cells
of CSV, TSV and XLSX are kept as text, as they stand: "007", "NA" or "true" are not turned into something else.

    frame = read_table("tickets.csv")
    frame = read_table("tickets.xlsx", sheet="March", lines=True)  # indexed by the sheet's row
"""

import csv
import datetime
import io
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.encoding import decode
from helpers.errors import FormatError
from helpers.jsonl import json_rows, jsonl_rows

DELIMITERS = (",", ";", "\t", "|")

Numbered = tuple[list[int], pd.DataFrame]  # the file line (or sheet row) at which each row begins, and the rows


def read_table(path: Path | str, *, sheet: str | int = 0, encoding: str | None = None, delimiter: str | None = None,
               lines: bool = False) -> pd.DataFrame:
    """The table in a CSV, TSV, XLSX, JSON, JSONL or TXT file, chosen by its suffix.

    `sheet` is an XLSX sheet's name, or its place from 0; encoding and delimiter are guessed unless given. With `lines`
    the index is the file line (XLSX: the sheet's row) where each row begins. A TXT file gives completions with empty
    prompts, one a line. Raises FormatError with the file and the line.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        numbers, frame = _xlsx(path, sheet)
    elif suffix in (".csv", ".tsv"):
        text = decode(path.read_bytes(), path, encoding)
        numbers, frame = _delimited(text, path, delimiter or ("\t" if suffix == ".tsv" else None))
    elif suffix in (".json", ".jsonl", ".txt"):
        numbers, frame = _rows(decode(path.read_bytes(), path, encoding), path, suffix)
    else:
        raise FormatError(f"cannot read files with the suffix {suffix!r}: save it as CSV, TSV, XLSX, JSON, JSONL or "
                          "TXT", path=path)
    if lines:
        frame.index = pd.Index(numbers, name="line", dtype="int64")
    return frame


def _rows(text: str, path: Path, suffix: str) -> Numbered:
    if suffix == ".json":
        numbers, rows = json_rows(text, path)
    elif suffix == ".jsonl":
        numbered = list(jsonl_rows(text, path))
        numbers, rows = [number for number, _ in numbered], [row for _, row in numbered]
    else:
        kept = [(number, line.rstrip("\n")) for number, line in enumerate(io.StringIO(text, newline=None), 1)
                if line.strip()]
        numbers, rows = [number for number, _ in kept], [{"prompt": "", "completion": line} for _, line in kept]
    frame = pd.DataFrame(rows, dtype=object)
    # Types only for columns without a gap: with one, pandas would turn integers into floats, and large ones into others.
    return numbers, frame.astype({name: frame[name].infer_objects().dtype for name in frame if frame[name].notna().all()})


def _delimited(text: str, path: Path, delimiter: str | None) -> Numbered:
    with _huge_fields():
        delimiter = delimiter or _delimiter(text)
        return _table(_csv_records(text, path, delimiter), path)


def _csv_records(text: str, path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # newline="": line ends within quoted cells belong to the cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise FormatError(f"the quotes do not match ({error}): a cell that contains a quote is written \"...\"\"...\"",
                          path=path, line=line) from error


def _delimiter(text: str) -> str:
    """The delimiter that gives the header the most columns, and as many cells to the first fifty rows; else a comma."""
    def columns(delimiter: str) -> float:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        widths = [len(cells) for _, cells in zip(range(50), reader, strict=False) if cells]
        return widths[0] * widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0

    return max(DELIMITERS, key=columns)


@contextmanager
def _huge_fields() -> Iterator[None]:
    # The csv module refuses cells of more than 128 KiB, and its limit belongs to the whole process: put it back.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def sheet_names(path: Path) -> list[str]:
    """The names of the sheets of an XLSX file, in order."""
    book = _workbook(path)
    try:
        return list(book.sheetnames)
    finally:
        book.close()


def _workbook(path: Path) -> Any:
    import openpyxl  # only here: 200 ms that other formats need not pay

    try:
        with warnings.catch_warnings():
            # openpyxl warns of features that it drops when writing (validation lists, themes); we only read values.
            warnings.simplefilter("ignore", UserWarning)
            return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except OSError:
        raise
    except Exception as error:  # openpyxl lets the errors of zip, XML and its own parts through
        raise FormatError(f"not an XLSX file ({error}): open it in a spreadsheet program and save it as XLSX or CSV",
                          path=path) from error


def _xlsx(path: Path, sheet: str | int) -> Numbered:
    book = _workbook(path)
    try:
        names = book.sheetnames
        name = names[sheet] if isinstance(sheet, int) and 0 <= sheet < len(names) else sheet
        if name not in names:
            raise FormatError(f"there is no sheet {sheet!r}: the file has {', '.join(map(repr, names))}", path=path)
        rows = enumerate(book[name].iter_rows(values_only=True), 1)
        return _table(((number, [_cell(value) for value in cells]) for number, cells in rows), path)
    finally:
        book.close()


def _cell(value: Any) -> str:
    """What a spreadsheet shows for a value, as near as can be told without its number format."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)


def _table(records: Iterable[tuple[int, Sequence[str]]], path: Path) -> Numbered:
    """A header and its rows. Blank rows are skipped; a short row is filled up, a long one refused."""
    filled = ((number, cells) for number, cells in records if any(cell.strip() for cell in cells))
    try:
        first, header = next(filled)
    except StopIteration:
        raise FormatError("the file is empty: the first line has the names of the columns", path=path) from None
    names = [name.strip() or f"column_{place}" for place, name in enumerate(header, 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"two columns are named {twice!r}: rename one", path=path, line=first, field=twice)
    numbers, rows = [], []
    for number, cells in filled:
        if any(cell.strip() for cell in cells[len(names):]):
            raise FormatError(f"{len(cells)} cells, but the header has {len(names)}: put quotes around a cell that "
                              "contains the delimiter", path=path, line=number)
        numbers.append(number)
        rows.append([*cells[:len(names)], *[""] * (len(names) - len(cells))])
    return numbers, pd.DataFrame(rows, columns=names, dtype=str)
