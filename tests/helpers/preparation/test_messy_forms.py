"""Files as people have them: titles, merged cells, errors, stray cells, broken rows; what is done with each is said."""

import json

import openpyxl
import pytest

from helpers.errors import FormatError
from helpers.preparation import ColumnsUnclear, prepare, read


@pytest.fixture
def sheet_of(tmp_path):
    """Write a workbook: rows by sheet, and ranges of merged cells of the last one."""
    def write(sheets, merged=()):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            page = book.create_sheet(name)
            for cells in rows:
                page.append(cells)
        for cells in merged:
            page.merge_cells(cells)
        book.save(tmp_path / "a.xlsx")
        return tmp_path / "a.xlsx"
    return write


def test_a_title_above_the_header_is_left_out_and_said(sheet_of, read_of):
    table = read(sheet_of({"one": [["Spring sale"], [], ["prompt", "completion"], ["a", "b"]]}))
    assert list(table.rows()) == [{"prompt": "a", "completion": "b"}] and table.lines.tolist() == [4]
    assert table.source.notes == ["'Spring sale' stands above the names of the columns, and is left out."]
    exported = read_of("Spring sale,\n\nprompt,completion\na,b\n", "a.csv")
    assert list(exported.rows()) == list(table.rows()) and exported.lines.tolist() == [4]


@pytest.mark.parametrize("content", ["text\n\nhello there\n", "text,\nhello,there\n"])
def test_a_lone_name_that_no_blank_row_sets_apart_is_no_title(read_of, content):
    assert read_of(content, "a.csv").source.notes == []


def test_cells_merged_downwards_count_for_each_of_their_rows_but_blank_rows_stay_blank(sheet_of):
    rows = [["prompt", "completion"], ["a", "x"], ["b", None], [], ["c", "y"]]
    table = read(sheet_of({"one": rows}, ["B2:B4"]))
    assert [row["completion"] for row in table.rows()] == ["x", "x", "y"] and table.lines.tolist() == [2, 3, 5]
    assert table.source.notes == ["Of cells that are merged over several rows, each row has the value."]


def test_an_error_of_the_spreadsheet_is_an_empty_cell_and_named(sheet_of):
    table = read(sheet_of({"one": [["prompt", "completion"], ["a", "#REF!"], ["b", "#N/A"]]}))
    assert table.completions == ["", ""]
    assert table.source.notes == ["Cells with an error of the spreadsheet count as empty: #REF! in row 2, #N/A in row 3."]


def test_formulas_without_a_result_are_told_of(sheet_of):
    table = read(sheet_of({"one": [["prompt", "completion"], ["a", "=1+1"]]}))
    assert table.completions == [""] and "formulas of this file have no result" in table.source.notes[0]


def test_a_stray_cell_far_away_costs_neither_time_nor_memory(sheet_of, tmp_path):
    path = sheet_of({"one": [["prompt", "completion"], ["a", "b"]]})
    book = openpyxl.load_workbook(path)
    book.active["XFD5000"] = "stray"
    book.save(path)
    table = read(path)
    assert len(table) == 1
    assert [(misfit.line, misfit.why) for misfit in table.misfits] == [
        (5000, "a value stands to the right of the 2 columns that have a name: name its column, or delete it")]
    book.active.merge_cells("A1:A2")
    book.save(path)
    with pytest.raises(FormatError, match="reaches to row 5,000 and column 16,384"):
        read(path)


def test_the_other_sheets_are_named_where_the_first_one_has_no_rows(sheet_of):
    with pytest.raises(FormatError, match="This is the sheet 'Notes'; the others are 'Rows'"):
        read(sheet_of({"Notes": [], "Rows": [["prompt", "completion"], ["a", "b"]]}))
    with pytest.raises(ColumnsUnclear, match="Other sheets are 'Rows'"):
        read(sheet_of({"Notes": [["who", "what"], ["Petra", "asks"]], "Rows": [["prompt", "completion"], ["a", "b"]]}))


def test_a_row_with_too_many_cells_is_kept_aside_unless_most_rows_have(read_of):
    table = read_of("prompt,completion\na,b\nc, and more,d\ne,f\n", "a.csv")
    assert table.lines.tolist() == [2, 4]
    assert [(misfit.line, misfit.why[:33]) for misfit in table.misfits] == [(3, "3 cells, but the header has 2: pu")]
    with pytest.raises(FormatError, match="line 2: 3 cells"):
        read_of("prompt,completion\na,b,x\nc,d,x\ne,f\n", "a.csv")


def test_a_delimiter_at_the_end_of_every_line_makes_no_column(read_of):
    assert read_of("prompt,completion,\na,b,\n", "a.csv").source.left_out == []
    assert read_of("prompt,completion,\na,b,c\n", "a.csv").source.left_out == ["column_3"]


FRAME = [{"prompt": "a", "completion": "x"}, {"prompt": "b", "completion": None}]


@pytest.mark.parametrize("form", [
    {"prompt": {"0": "a", "1": "b"}, "completion": {"0": "x", "1": None}}, {"0": FRAME[0], "1": FRAME[1]},
    {"columns": ["prompt", "completion"], "index": [0, 1], "data": [["a", "x"], ["b", None]]},
    {"schema": {"fields": []}, "data": FRAME}], ids=["columns", "index", "split", "table"])
def test_every_form_of_json_that_pandas_writes_is_read(read_of, form):
    assert list(read_of(json.dumps(form), "a.json").rows()) == FRAME


@pytest.mark.parametrize(("content", "name", "said"), [
    (b"%PDF-1.4\n", "a.csv", "this is a PDF document"), (b"<!DOCTYPE html>\n<p>Sign in", "a.csv", "this is a web page"),
    (b"PK\x03\x04rest", "a.csv", "an archive or an office document"), (b"\x1f\x8brest", "a.jsonl", "this is a compressed file"),
    (b"\xd0\xcf\x11\xe0rest", "a.xlsx", "a spreadsheet with a password"), (b"", "a.txt", "there are no rows"),
    (b"{}", "a.json", "there are no rows"), (b"a,b\n1,2\n", "a", "without a suffix"),
    (b'[\n{"prompt": "a"},\n]', "a.json", "line 3: not valid JSON: there is a comma before the closing ]"),
    (b'[{"prompt": "NaN"},\n{"prompt": NaN}]', "a.json", "line 2: NaN is not JSON"),
    (b'{"prompt": "\\ud83d", "completion": "x"}\n', "a.jsonl", "line 1: .* half of a surrogate pair"),
])
def test_what_is_no_table_is_refused_by_what_it_is(read_of, content, name, said):
    with pytest.raises(FormatError, match=said):
        read_of(content, name)


def test_the_trouble_of_a_broken_line_is_said_plainly(read_of):
    good = '{"prompt": "a", "completion": "b"}\n'
    table = read_of(good + '{"prompt": "a", "completion": "b",}\n{"prompt": "a", "comp\n' + good)
    assert [misfit.why for misfit in table.misfits] == [
        "it is not valid JSON (there is a comma before the closing } at column 35)",
        "it is not valid JSON (unterminated string starting at column 17)"]


def test_half_a_character_makes_a_misfit_in_a_json_document_too(read_of):
    table = read_of('[{"prompt": "a", "completion": "b"},\n{"prompt": "\\ud83d", "completion": "c"}]', "a.json")
    assert table.lines.tolist() == [1] and [misfit.line for misfit in table.misfits] == [2]


def test_a_field_that_only_some_rows_have_is_named_with_their_lines(read_of):
    rows = [{"prompt": f"{letter * 4} ->", "completion": f" {letter}x\n"} for letter in "abcdefghijkl"]
    table = read_of([*rows[:5], rows[5] | {"id": 1}, *rows[6:]])
    finding = next(finding for finding in prepare(table).findings if finding.kind == "extra-columns")
    assert list(finding.lines) == [6]


def test_the_number_of_a_ticket_is_not_taken_for_its_text(read_of):
    assert read_of("Ticket;Received;Customer message;Team\n1;today;Where is it?;delivery\n", "a.csv").prompts == ["Where is it?"]
