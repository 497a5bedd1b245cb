"""Writes those files of data/messy/ that no editor shows as they are, from sources in UTF-8 and JSON beside this script.

Knows encodings, line ends and spreadsheets. Knows nothing of what is wrong with the texts: that stands in the sources.

    python data/make/messy.py
"""

import datetime
import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl

SOURCES = Path(__file__).resolve().parent / "messy"
MESSY = Path(__file__).resolve().parent.parent / "messy"
# Encoding and line ends of each text file.
TEXTS = {"tickets.csv": ("cp1252", "\r\n"), "reviews.tsv": ("utf-16", "\r\n"), "fortunes.txt": ("utf-8-sig", "\r\n")}
LONG_AGO = datetime.datetime(2026, 1, 1)  # for spreadsheets, which hold the time of their making: the same bytes every time


def encoded(name: str) -> bytes:
    """A text file as some other program would have written it."""
    encoding, line_end = TEXTS[name]
    text = (SOURCES / name).read_text(encoding="utf-8").replace("\n", line_end)
    # The byte order of utf-16 is the machine's otherwise.
    return b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16" else text.encode(encoding)


def workbook() -> bytes:
    """lots.xlsx: its sheets with their merged cells."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for sheet in json.loads((SOURCES / "lots.json").read_text(encoding="utf-8"))["sheets"]:
        page = book.create_sheet(sheet["name"])
        for cells in sheet["rows"]:
            page.append([_cell(value) for value in cells])
        for cells in sheet["merged"]:
            page.merge_cells(cells)
    book.properties.created = LONG_AGO
    content = BytesIO()
    book.save(content)
    return _without_time(content)


def _cell(value: Any) -> Any:
    return datetime.datetime.fromisoformat(value["date"]) if isinstance(value, dict) else value


def _without_time(content: BytesIO) -> bytes:
    """The same archive with one date for all that is in it."""
    result = BytesIO()
    with zipfile.ZipFile(content) as before, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "docProps/core.xml":
                start, end = data.index(b"<dcterms:modified"), data.index(b"</dcterms:modified>") + len(b"</dcterms:modified>")
                data = data[:start] + data[end:]
            after.writestr(zipfile.ZipInfo(name, LONG_AGO.timetuple()[:6]), data, zipfile.ZIP_DEFLATED)
    return result.getvalue()


def main() -> None:
    for name in TEXTS:
        (MESSY / name).write_bytes(encoded(name))
    (MESSY / "lots.xlsx").write_bytes(workbook())


if __name__ == "__main__":
    main()
