"""Tables from the files that people have.

Knows file formats and delimiters; `encoding.py` knows encodings, `jsonl.py` JSON, `sheets.py` spreadsheets. Knows nothing of
prompts. The cells of CSV, TSV and XLSX are kept as text, as they stand: "007", "NA" or "true" are not turned into something else.

    frame = read_table("tickets.csv")
    frame = read_table("tickets.xlsx", sheet="March", lines=True)  # indexed by the sheet's row
"""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import pandas as pd

from helpers.encoding import decode
from helpers.errors import FormatError
from helpers.jsonl import json_rows, jsonl_rows
from helpers.sheets import open_sheet

DELIMITERS = (",", ";", "\t", "|")
TOO_WIDE = "{cells} cells, but the header has {columns}: put quotes around a cell that contains the delimiter"

Numbered = tuple[list[int], pd.DataFrame]  # the file line (or sheet row) at which each row begins, and the rows
Wide = list[tuple[int, str]]  # the line of each row that has more cells than there are columns, and what is wrong with it


def read_table(path: Path | str, *, sheet: str | int = 0, encoding: str | None = None, delimiter: str | None = None,
               lines: bool = False, wide: Wide | None = None) -> pd.DataFrame:
    """The table in a CSV, TSV, XLSX, JSON, JSONL or TXT file, chosen by its suffix.

    `sheet` is an XLSX sheet's name, or its place from 0; encoding and delimiter are guessed unless given. With `lines`
    the index is the file line (XLSX: the sheet's row) where each row begins. A TXT file gives completions with empty
    prompts, one a line. Raises FormatError with the file and the line; rows with too many cells are put into `wide`, where
    that is given, as long as most rows have none. What else was decided in reading stands in `frame.attrs["notes"]`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        numbers, frame = _xlsx(path, sheet, wide)
    elif suffix in (".csv", ".tsv"):
        text = decode(path.read_bytes(), path, encoding)
        numbers, frame = _delimited(text, path, delimiter or ("\t" if suffix == ".tsv" else None), wide)
    elif suffix in (".json", ".jsonl", ".txt"):
        numbers, frame = _rows(decode(path.read_bytes(), path, encoding), path, suffix)
    else:
        kind = f"with the suffix {suffix!r}" if suffix else "without a suffix"
        raise FormatError(f"cannot read files {kind}: save it as CSV, TSV, XLSX, JSON, JSONL or TXT", path=path)
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


def _delimited(text: str, path: Path, delimiter: str | None, wide: Wide | None) -> Numbered:
    with _huge_fields():
        delimiter = delimiter or _delimiter(text)
        return _table(_csv_records(text, path, delimiter), path, wide)


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


def _xlsx(path: Path, sheet: str | int, wide: Wide | None) -> Numbered:
    with open_sheet(path, sheet) as page:
        try:
            numbers, frame = _table(page.rows, path, wide, too_wide="a value stands to the right of the {columns} columns that "
                                    "have a name: name its column, or delete it")
        except FormatError as error:
            others = ", ".join(map(repr, page.others))
            error.args = (f"{error}. This is the sheet {page.name!r}; the others are {others}" if others else str(error),)
            raise
        frame.attrs["notes"] += page.notes
        return numbers, frame


def _table(records: Iterable[tuple[int, Sequence[str]]], path: Path, wide: Wide | None, *, too_wide: str = TOO_WIDE) -> Numbered:
    """A header and its rows. Blank rows are skipped; a short row is filled up, a long one refused or put aside."""
    filled = ((number, cells) for number, cells in records if any(cell.strip() for cell in cells))
    first, header, filled, notes = _header(filled, path)
    names = [name.strip() or f"column_{place}" for place, name in enumerate(header, 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"two columns are named {twice!r}: rename one", path=path, line=first, field=twice)
    numbers, rows, long = [], [], []
    for number, cells in filled:
        if any(cell.strip() for cell in cells[len(names):]):
            long.append((number, too_wide.format(cells=len(cells), columns=len(names))))
            continue
        numbers.append(number)
        rows.append([*cells[:len(names)], *[""] * (len(names) - len(cells))])
    # If they are the rule, it is the header that is wrong, or the delimiter.
    if long and (wide is None or len(long) > len(rows)):
        raise FormatError(long[0][1], path=path, line=long[0][0])
    if wide is not None:
        wide += long
    frame = pd.DataFrame(rows, columns=names, dtype=str)
    # A delimiter at the end of every line makes a column without a name or a value.
    frame = frame.drop(columns=[name for place, name in enumerate(names) if not header[place].strip() and not any(frame[name])])
    frame.attrs["notes"] = notes
    return numbers, frame


def _header(filled: Iterator[tuple[int, Sequence[str]]], path: Path,
            ) -> tuple[int, Sequence[str], Iterator[tuple[int, Sequence[str]]], list[str]]:
    """The line and the cells of the header, the rows after it, and notes: a title above it is no header.

    A title is a row with one filled cell of several (in a spreadsheet, the only one), which a blank row sets apart from a
    row with more.
    """
    head = list(islice(filled, 2))
    if not head:
        raise FormatError("the file is empty: the first line has the names of the columns", path=path)
    (first, title), (second, names) = head[0], head[-1]
    lone = len(title) > 1 and sum(bool(cell.strip()) for cell in title) == 1
    if lone and second > first + 1 and sum(bool(cell.strip()) for cell in names) > 1:
        text = next(cell.strip() for cell in title if cell.strip())
        return second, names, filled, [f"{text!r} stands above the names of the columns, and is left out."]
    return first, title, chain(head[1:], filled), []
