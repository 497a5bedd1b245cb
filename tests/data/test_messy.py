"""The messy files are prepared, or refused, with the findings that data/README.md names for them; and can be made again."""

import importlib.util
import io
import re
from pathlib import Path

import openpyxl
import pytest

from helpers.datasets import DATA
from helpers.preparation import ColumnsUnclear, inspect, prepare, read
from helpers.preparation.findings import Finding

MESSY = DATA / "messy"
FINDING = re.compile(r"`([a-z-]+)`(?: \(([\d, ]+)\))?")
ALWAYS = "example-count"  # said of every file
CHOICES = {"lots.xlsx": {"sheet": "Lots"}, "reviews.tsv": {"completion": "Verdict"},
           "orders.csv": {"prompt": ["note"], "completion": "action"}}


def readme_rows() -> dict[str, list[str]]:
    """The cells of the table of messy files, by file."""
    text = (DATA / "README.md").read_text(encoding="utf-8").split("## messy/")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in rows[1:]}


def named(cell: str) -> dict[str, list[int] | None]:
    """The findings that a cell of the table names, and their lines where it gives some."""
    return {name: [int(line) for line in lines.split(",")] if lines else None for name, lines in FINDING.findall(cell)}


def found(findings: list[Finding]) -> dict[str, list[int]]:
    return {finding.kind: [int(line) for line in finding.lines] for finding in findings if finding.kind != ALWAYS}


ROWS = readme_rows()


def test_the_table_names_every_messy_file() -> None:
    assert set(ROWS) == {path.name for path in MESSY.iterdir()} and len(ROWS) >= 9


@pytest.mark.parametrize("name", ROWS)
def test_a_messy_file_has_the_findings_that_the_table_names(name: str) -> None:
    table = read(MESSY / name, **CHOICES.get(name, {}))
    said, there = named(ROWS[name][2]), found(inspect(table))
    assert there.keys() == said.keys()
    assert {kind: lines for kind, lines in said.items() if lines} == {kind: there[kind] for kind, lines in said.items() if lines}
    assert ROWS[name][0].startswith(f"{table.rows_read} ") or name == "lots.xlsx"  # two of its rows are no lots


@pytest.mark.parametrize("name", ROWS)
def test_a_messy_file_is_prepared_and_every_row_is_accounted_for(name: str) -> None:
    table = read(MESSY / name, **CHOICES.get(name, {}))
    outcome = prepare(table)
    assert outcome.errors == [] and len(table) >= 10
    assert table.rows_read == len(table) + len(table.dropped)


@pytest.mark.parametrize("name", ["reviews.tsv", "orders.csv"])
def test_files_whose_columns_nobody_can_guess_ask_for_them(name: str) -> None:
    with pytest.raises(ColumnsUnclear, match="name it"):
        read(MESSY / name)


def test_the_files_that_no_editor_shows_are_made_from_their_sources() -> None:
    spec = importlib.util.spec_from_file_location("messy", DATA / "make" / "messy.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    for name in maker.TEXTS:
        assert (MESSY / name).read_bytes() == maker.encoded(name), f"run: python data/make/messy.py ({name})"
    # Another version of the library may write the same cells as other bytes.
    assert cells(MESSY / "lots.xlsx") == cells(io.BytesIO(maker.workbook()))


def cells(file: Path | io.BytesIO) -> dict[str, tuple[list[object], set[str]]]:
    """The values and the merged cells of each sheet."""
    book = openpyxl.load_workbook(file)
    return {sheet.title: (list(sheet.iter_rows(values_only=True)), {str(area) for area in sheet.merged_cells.ranges})
            for sheet in book.worksheets}
