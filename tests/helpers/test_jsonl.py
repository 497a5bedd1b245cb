"""Rows in, rows out, and where each one stood."""

import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import FormatError
from helpers.jsonl import jsonl_rows, read_jsonl, write_jsonl

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROWS = st.lists(st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.none() | st.lists(TEXT), min_size=1))


@given(ROWS)
def test_reading_what_was_written_gives_the_same_rows(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    assert read_jsonl(write_jsonl(rows, path)) == rows


def test_a_line_separator_within_a_text_does_not_end_the_line(tmp_path):
    path = write_jsonl([{"a": "x\u2028y\x85z"}], tmp_path / "rows.jsonl")
    assert "\u2028" in path.read_text(encoding="utf-8") and read_jsonl(path) == [{"a": "x\u2028y\x85z"}]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_either_line_end_and_blank_lines_and_a_byte_order_mark_are_read(tmp_path, end):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + end.join(['{"a": 1}', "", '{"a": 2}', ""]).encode())
    assert read_jsonl(path) == [{"a": 1}, {"a": 2}]
    assert [line for line, _ in jsonl_rows(path.read_text("utf-8-sig"), path)] == [1, 3]


@pytest.mark.parametrize(("line", "said"), [
    ("{'a': 1}", "not valid JSON: Expecting property name"), ("[1]", "expected a JSON object, met a list"),
    ("3", "met a number"), ("null", "met null"), ('{"a": NaN}', "NaN is not JSON"), ('{"a": "\x00"}', "not valid JSON"),
    ("[" * 200_000, "JSON"),
])
def test_a_bad_line_is_named_with_its_file(tmp_path, line, said):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(FormatError, match=said) as caught:
        read_jsonl(path)
    assert caught.value.line == 2 and f"{path}, line 2" in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, {1, 2}, "\ud800"])
def test_a_row_that_json_cannot_hold_is_named_and_no_file_appears(tmp_path, value):
    with pytest.raises(FormatError, match="row 2: cannot be written as JSON"):
        write_jsonl([{"a": 1}, {"a": value}], tmp_path / "rows.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path):
    path = write_jsonl([{"a": 1}], tmp_path / "new" / "rows.jsonl")
    with pytest.raises(FormatError):
        write_jsonl([{"a": math.nan}], path)
    assert read_jsonl(path) == [{"a": 1}] and len(list(path.parent.iterdir())) == 1


def test_a_table_can_be_written_as_it_is(tmp_path):
    path = write_jsonl(pd.DataFrame({"prompt": ["é"], "completion": [" b"]}), tmp_path / "rows.jsonl")
    assert path.read_bytes() == '{"prompt": "é", "completion": " b"}\n'.encode()
    assert json.loads(path.read_text("utf-8")) == {"prompt": "é", "completion": " b"}
