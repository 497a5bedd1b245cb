"""The sheets of an XLSX file, row by row, every cell as the text that a spreadsheet would show.

Knows workbooks: merged cells, errors, formulas without a result. Knows nothing of headers and of what rows mean.

    with open_sheet(path, "March") as sheet:
        for number, cells in sheet.rows: ...
"""

import datetime
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.errors import FormatError

ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")  # what a formula shows that failed
MOST_CELLS = 20_000_000  # of a sheet that must be read as a whole
MERGED = re.compile(b"<mergeCell ")
NO_RESULT = re.compile(rb"(?:</f>|<f[^>]*/>)(?:<v ?/>|<v></v>|</c>)")  # programs that write formulas do not compute them
SHOWN = 5


@dataclass(slots=True)
class Sheet:
    """`rows`: the number of each row and its cells. `notes` are sentences on what was decided; complete after the rows."""

    name: str
    others: list[str]
    rows: Iterator[tuple[int, list[str]]]
    notes: list[str] = field(default_factory=list)


def sheet_names(path: Path) -> list[str]:
    """The names of the sheets of an XLSX file, in order."""
    book = _workbook(path)
    try:
        return list(book.sheetnames)
    finally:
        book.close()


@contextmanager
def open_sheet(path: Path, sheet: str | int) -> Iterator[Sheet]:
    """The sheet of that name, or at that place from 0. Raises FormatError where there is none."""
    book = _workbook(path, whole=_has(MERGED, path))
    try:
        names = book.sheetnames
        name = names[sheet] if isinstance(sheet, int) and 0 <= sheet < len(names) else sheet
        if name not in names:
            raise FormatError(f"there is no sheet {sheet!r}: the file has {', '.join(map(repr, names))}", path=path)
        if not hasattr(book[name], "iter_rows"):
            raise FormatError(f"the sheet {name!r} is a chart: choose one with cells", path=path)
        notes = ["Some formulas of this file have no result, and count as empty cells: open it in a spreadsheet program and "
                 "save it there."] if _has(NO_RESULT, path) else []
        yield Sheet(name, [other for other in names if other != name], _rows(book[name], path, notes), notes)
    finally:
        book.close()


def _workbook(path: Path, *, whole: bool = False) -> Any:
    """The workbook, its rows read one by one; `whole`: all at once, with what is known of its cells besides values."""
    import openpyxl  # only here: 200 ms that other formats need not pay

    try:
        with warnings.catch_warnings():
            # openpyxl warns of features that it drops when writing (validation lists, themes); we only read values.
            warnings.simplefilter("ignore", UserWarning)
            return openpyxl.load_workbook(path, read_only=not whole, data_only=True)
    except OSError:
        raise
    except Exception as error:  # openpyxl lets the errors of zip, XML and its own parts through
        raise FormatError(f"not an XLSX file ({error}): open it in a spreadsheet program and save it as XLSX or CSV",
                          path=path) from error


def _has(pattern: re.Pattern[bytes], path: Path) -> bool:
    """Whether a sheet of the file has the pattern. openpyxl says so only to whoever reads all of it into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(pattern.search(archive.read(name)) for name in archive.namelist()
                       if name.startswith("xl/worksheets/") and name.endswith(".xml"))
    except (zipfile.BadZipFile, zipfile.zlib.error, RuntimeError, NotImplementedError):  # opening it has said so, or will
        return False


def _rows(page: Any, path: Path, notes: list[str]) -> Iterator[tuple[int, list[str]]]:
    if hasattr(page, "reset_dimensions"):
        page.reset_dimensions()  # a stray cell far below or to the right would make every row as long as that
    elif page.max_row * page.max_column > MOST_CELLS:
        raise FormatError(f"the sheet {page.title!r} reaches to row {page.max_row:,} and column {page.max_column:,}: delete the "
                          "empty rows and columns in between, or save the sheet as CSV", path=path)
    above, faulty = _merged_downwards(page), []
    try:
        for number, values in enumerate(page.iter_rows(values_only=True), 1):
            # A row that has nothing of its own is blank, whatever it is merged with.
            filled = above if above and any(value is not None for value in values) else {}
            cells = [filled.get((number, place), value) for place, value in enumerate(values, 1)]
            faulty += [f"{value} in row {number}" for value in cells if value in ERRORS]
            texts = [_text(value) for value in cells]
            # At least two cells, so that a title can be told from the header of a single column.
            yield number, texts if len(texts) != 1 else [*texts, ""]
    except (zipfile.BadZipFile, zipfile.zlib.error, SyntaxError, ValueError, KeyError) as error:
        raise FormatError(f"the sheet {page.title!r} is damaged ({error}): open the file in a spreadsheet program and save it "
                          "again", path=path) from error
    if above:
        notes.append("Of cells that are merged over several rows, each row has the value.")
    if faulty:
        more = f" and {len(faulty) - SHOWN} more" if len(faulty) > SHOWN else ""
        notes.append(f"Cells with an error of the spreadsheet count as empty: {', '.join(faulty[:SHOWN])}{more}.")


def _merged_downwards(page: Any) -> dict[tuple[int, int], Any]:
    """The value of each cell (row, column) that is merged with one above it."""
    ranges = page.merged_cells.ranges if hasattr(page, "merged_cells") else ()
    return {(row, area.min_col): page.cell(area.min_row, area.min_col).value
            for area in ranges for row in range(area.min_row + 1, area.max_row + 1)}


def _text(value: Any) -> str:
    """What a spreadsheet shows for a value, as near as can be told without its number format."""
    if value is None or value in ERRORS:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)
