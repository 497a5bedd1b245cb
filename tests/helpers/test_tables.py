"""Tables from the files that people have."""

import csv
import datetime
import json

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import FormatError
from helpers.tables import read_table

GERMAN = "Wo bleibt meine Bestellung? Sie wollten längst liefern, und für Rückfragen ist niemand zu erreichen."
POLISH = "Proszę o pilną pomoc, ponieważ moja paczka wciąż nie dotarła, a nikt z obsługi nie odpowiada na żądania."
RUSSIAN = "Где мой заказ? Я жду уже две недели, и никто не отвечает на мои письма. Помогите, пожалуйста."
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), min_size=1).filter(str.strip)


@pytest.fixture
def table(tmp_path):
    """Write a file and read it as a table."""
    def read(name, content, **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, **options)
    return read


def test_cells_stay_text_exactly_as_they_stand(table):
    frame = table("a.csv", "id,label,flag\n007,NA,true\n1.50,,null\n")
    assert frame.values.tolist() == [["007", "NA", "true"], ["1.50", "", "null"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(table, delimiter):
    rows = [["text", "team"], ["a, b; c|d", "x"], ["it's 3;5", "y"], ["plain", "z"]]
    lines = [delimiter.join(f'"{cell}"' if any(mark in cell for mark in ",;|\t") else cell for cell in row) for row in rows]
    assert table("a.csv", "\n".join(lines)).values.tolist() == rows[1:]


def test_a_tsv_file_is_split_at_tabs_whatever_else_it_contains(table):
    assert list(table("a.tsv", "a,b\tc\n1,2\t3\n").columns) == ["a,b", "c"]


def test_lines_are_those_of_the_file_even_after_a_cell_of_several_lines(table):
    frame = table("a.csv", 'q,a\n"one\ntwo",x\n\nthree,y\n', lines=True)
    assert frame.index.tolist() == [2, 5] and frame.index.name == "line" and frame["q"].tolist() == ["one\ntwo", "three"]


@pytest.mark.parametrize(("content", "said", "line"), [
    ("q,a\nb,c\none, two,x\n", "3 cells, but the header has 2", 3),
    ('q,a\n"open,x\n', "the quotes do not match", 2),
    ("q,q\n1,2\n", "two columns are named 'q'", 1),
])
def test_a_crooked_line_is_named(table, content, said, line):
    with pytest.raises(FormatError, match=said) as caught:
        table("a.csv", content, delimiter=",")
    assert caught.value.line == line


def test_a_short_row_is_filled_up_and_an_empty_extra_cell_is_dropped(table):
    assert table("a.csv", "q,a\nb\nc,d,\n").values.tolist() == [["b", ""], ["c", "d"]]


def test_a_huge_cell_is_read_and_the_limit_of_the_process_is_put_back(table):
    before = csv.field_size_limit()
    assert len(table("a.csv", "q,a\n" + "x" * 300_000 + ",y\n")["q"][0]) == 300_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("content", ["", "\n\n", " \n\n"])
def test_an_empty_file_is_refused(table, name, content):
    with pytest.raises(FormatError, match="the file is empty"):
        table(name, content)


@pytest.mark.parametrize(("text", "encoding"), [
    (GERMAN, "utf-8"), (GERMAN, "utf-8-sig"), (GERMAN, "utf-16"), (GERMAN, "utf-16-le"), (GERMAN, "utf-16-be"),
    (GERMAN, "utf-32"), (GERMAN, "cp1252"), (POLISH, "cp1250"), (RUSSIAN, "cp1251"),
])
def test_the_encoding_is_found_out(table, text, encoding):
    assert table("a.csv", f"text|team\n{text}|x\n".encode(encoding)).values.tolist() == [[text, "x"]]


def test_an_encoding_that_is_given_is_held_to_and_the_line_that_breaks_it_named(table):
    assert table("a.csv", "q,a\nё,x\n".encode("koi8-r"), encoding="koi8-r")["q"].tolist() == ["ё"]
    with pytest.raises(FormatError, match="byte 0xe9 is not utf-8") as caught:
        table("a.csv", "q,a\nok,x\né,y\n".encode("cp1252"), encoding="utf-8")
    assert caught.value.line == 3
    with pytest.raises(FormatError, match="no encoding 'utf-9'"):
        table("a.csv", "q,a\n", encoding="utf-9")


def test_a_file_that_is_no_text_is_refused(table):
    with pytest.raises(FormatError, match="not text in any encoding"):
        table("a.csv", bytes(range(0x80, 0x100)) * 50 + b"\x81\x8d\x8f\x90\x9d\xff" * 50)


def test_a_nul_byte_in_utf8_does_not_change_the_encoding(table):
    assert table("a.csv", b"q,a\nnul \x00 here \xc3\xa9,x\n")["q"].tolist() == ["nul \x00 here é"]


@given(st.lists(st.tuples(CELL, CELL), min_size=1))
def test_reading_a_csv_file_gives_what_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("q", "a"), *rows])
    assert list(read_table(path, delimiter=",").itertuples(index=False, name=None)) == rows


def sheet_of(path, sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_sheet_is_read_as_text_with_its_row_numbers(tmp_path):
    day = datetime.datetime(2026, 5, 7)
    rows = [["text", "code"], ["a", 7], [], ["b", 7.5], ["c", True], ["d", day]]
    frame = read_table(sheet_of(tmp_path / "a.xlsx", {"one": rows}), lines=True)
    assert frame.index.tolist() == [2, 4, 5, 6]
    assert frame["code"].tolist() == ["7", "7.5", "TRUE", "2026-05-07"]


def test_sheets_are_chosen_by_name_or_place_and_a_wrong_one_lists_them(tmp_path):
    path = sheet_of(tmp_path / "a.xlsx", {"March": [["q"], ["1"]], "April": [["q"], ["2"]]})
    assert [read_table(path, sheet=sheet)["q"][0] for sheet in (0, "March", 1, "April")] == ["1", "1", "2", "2"]
    for wrong in ("May", 2, -1):
        with pytest.raises(FormatError, match="the file has 'March', 'April'"):
            read_table(path, sheet=wrong)


def test_what_only_looks_like_a_sheet_is_refused(table):
    with pytest.raises(FormatError, match="not an XLSX file"):
        table("a.xlsx", "q,a\n1,2\n")


ROWS = [{"prompt": "a", "n": 1}, {"prompt": "b", "n": None}]


@pytest.mark.parametrize("value", [
    ROWS, {"prompt": ["a", "b"], "n": [1, None]}, {"data": ROWS}, {"version": 2, "result": {"rows": ROWS}},
    {"info": "x", "data": {"prompt": ["a", "b"], "n": [1, None]}},
])
def test_records_columns_and_either_inside_an_object_are_the_same_table(table, value):
    assert table("a.json", json.dumps(value)).to_dict("list") == {"prompt": ["a", "b"], "n": [1, None]}


@pytest.mark.parametrize("row", [{"prompt": "a", "completion": "b"}, {"messages": [{"role": "user", "content": "a"}]}])
def test_a_json_file_of_one_row_is_one_row_and_not_a_container(table, row):
    assert table("a.json", json.dumps(row)).to_dict("records") == [row]


def test_json_lines_in_a_json_file_are_read_as_such(table):
    assert table("a.json", '{"a": "x"}\n{"a": "y"}\n', lines=True)["a"].to_dict() == {1: "x", 2: "y"}


def test_the_rows_of_a_json_file_are_found_on_their_lines(table):
    frame = table("a.json", '[\n {"a":\n  1},\n\n {"a": 2}, {"a": 3}\n]', lines=True)
    assert list(frame["a"].items()) == [(2, 1), (5, 2), (5, 3)]
    assert table("a.json", "[ ]", lines=True).empty


@pytest.mark.parametrize(("content", "said"), [
    ("[1]", "row 1: expected an object, met a number"), ('"x"', "expected a list of objects, met a string"),
    ('[{"a": 1},\n {"a": }]', "line 2: not valid JSON"), ('{"a": [1, 2], "b": [1]}', "different lengths: 'a' 2, 'b' 1"),
    ('{"a": [{"x": 1}], "b": [{"x": 2}]}', "cannot tell which of 'a', 'b'"), ("", "not valid JSON"),
])
def test_json_that_is_no_table_is_refused(table, content, said):
    with pytest.raises(FormatError, match=said):
        table("a.json", content)


def test_integers_stay_integers_where_another_row_has_none(table):
    frame = table("a.jsonl", '{"q": "a", "n": 12345678901234567}\n\n{"q": "b"}\n', lines=True)
    assert frame["n"][1] == 12345678901234567 and isinstance(frame["n"][1], int) and frame.index.tolist() == [1, 3]


def test_each_line_of_a_text_file_is_a_completion_without_a_prompt(table):
    frame = table("a.txt", "one \r\n\r\ntwo", lines=True)
    assert frame.to_dict("list") == {"prompt": ["", ""], "completion": ["one ", "two"]} and frame.index.tolist() == [1, 3]


def test_other_kinds_of_files_are_refused_with_those_that_are_known(table):
    with pytest.raises(FormatError, match=r"suffix '.docx': save it as CSV, TSV, XLSX"):
        table("a.docx", "x")


def test_a_missing_file_is_the_usual_error(tmp_path):
    for name in ("a.csv", "a.xlsx", "a.json"):
        with pytest.raises(FileNotFoundError):
            read_table(tmp_path / name)
