"""From files of all kinds to the same rows, with their lines; and what cannot be read, named."""

import json

import openpyxl
import pytest

from helpers.errors import FormatError
from helpers.preparation import ColumnsUnclear, read
from helpers.preparation.convert import converted

from .made import chats, jsonl, pairs, preferences

ROWS = [{"prompt": "Where is it?", "completion": "there"}, {"prompt": "Größe", "completion": "naïve"}]
CSV = "prompt,completion\nWhere is it?,there\nGröße,naïve\n"


@pytest.mark.parametrize(("name", "content"), [
    ("a.csv", CSV), ("a.csv", CSV.encode("cp1252")), ("a.csv", CSV.encode("utf-8-sig")), ("a.csv", CSV.encode("utf-16")),
    ("a.csv", CSV.replace(",", ";")), ("a.tsv", CSV.replace(",", "\t")), ("a.jsonl", jsonl(ROWS)), ("a.ndjson", jsonl(ROWS)),
    ("a.jsonl", jsonl(ROWS).encode("utf-16")), ("a.jsonl", jsonl(ROWS).encode("cp1252")), ("a.txt", jsonl(ROWS)),
    ("a.json", json.dumps(ROWS)), ("a.json", json.dumps({"prompt": [row["prompt"] for row in ROWS],
                                                         "completion": [row["completion"] for row in ROWS]})),
    ("a.json", json.dumps({"data": {"rows": ROWS}})), ("a.jsonl", json.dumps(ROWS, indent=1)), ("a.json", jsonl(ROWS)),
    ("a.csv", CSV.replace("prompt,completion", "Customer Message,Label")), ("a.csv", CSV.replace("prompt,completion", " PROMPT ,Answer")),
])
def test_the_same_rows_come_out_of_every_form(read_of, name, content):
    assert list(read_of(content, name).rows()) == ROWS


def test_rows_of_a_chosen_sheet_have_the_rows_of_the_sheet(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["nothing here"])
    march = book.create_sheet("March")
    for cells in (["prompt", "completion"], ["a", "b"], [], ["c", 7]):
        march.append(cells)
    book.save(tmp_path / "a.xlsx")
    table = read(tmp_path / "a.xlsx", sheet="March")
    assert table.lines.tolist() == [2, 4] and table.completions == ["b", "7"]
    assert (table.source.unit, table.source.other_sheets) == ("row", ["Sheet"])


def test_lines_are_those_of_the_file_whatever_is_between(read_of):
    content = '\n{"prompt": "a", "completion": "b"}\n\noops\n{"prompt": "c", "completion": "d", "id": 1}\n[]\n'
    table = read_of(content)
    assert table.lines.tolist() == [2, 5]
    assert [(misfit.line, misfit.why) for misfit in table.misfits] == [
        (4, "it is not valid JSON (expecting value at column 1)"), (6, "it is a list, not an object {...}")]


def test_a_list_on_one_line_counts_rows(read_of):
    table = read_of(json.dumps(ROWS), "a.json")
    assert (table.lines.tolist(), table.source.unit) == ([1, 2], "row")


def test_the_kind_is_that_of_most_rows_and_the_others_are_kept_aside(read_of):
    table = read_of([*chats(3), *pairs(1), *preferences(1)])
    assert table.kind == "chat" and len(table) == 3
    assert [misfit.why for misfit in table.misfits] == [
        "it is a prompt-completion row among chat rows", "it is a preference row among chat rows"]


def test_whole_numbers_of_any_size_stay_what_they_are(read_of):
    number = 123456789012345678901234567890
    assert read_of(f'{{"prompt": "a", "completion": {number}}}\n').completions == [number]


def test_conversations_of_other_tools_become_messages(read_of):
    row = {"id": 7, "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    table = read_of(json.dumps([row] * 2), "a.json")
    assert table.row(0)["messages"] == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def test_old_names_of_preferences_become_todays(read_of):
    old = {name.replace("output", "completion"): value for name, value in preferences(1)[0].items()}
    assert read_of([old]).row(0) == preferences(1)[0]


def test_several_prompt_columns_are_put_together(read_of):
    content = "instruction,input,output\nTranslate,cat,Katze\nSay hello,,hello\n"
    assert read_of(content, "a.csv").prompts == ["Translate\n\ncat", "Say hello"]
    chosen = read_of(content, "a.csv", prompt=["output", "input"], completion="Instruction")
    assert chosen.prompts == ["Katze\n\ncat", "hello"] and chosen.source.left_out == []


def test_one_column_of_texts_gives_completions_without_prompts(read_of):
    for content, name in (("poem\none\ntwo\n", "a.csv"), ("one\ntwo\n", "a.txt")):
        table = read_of(content, name)
        assert (table.prompts, table.completions) == (["", ""], ["one", "two"])


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "a,b,c\n1,2,3\n", "prompt\nx\n", "question,b,c\n1,2,3\n", "a,b,label\n1,2,3\n"])
def test_columns_that_nobody_can_guess_are_asked_for(read_of, content):
    with pytest.raises(ColumnsUnclear, match=r"cannot tell which column is the (prompt|completion): name it") as caught:
        read_of(content, "a.csv")
    assert caught.value.names == content.split("\n")[0].split(",")


def test_of_two_columns_the_unknown_one_is_the_other_one(read_of):
    assert read_of("foo,label\na,b\n", "a.csv").prompts == ["a"]
    assert read_of("question,foo\na,b\n", "a.csv").completions == ["b"]


@pytest.mark.parametrize(("content", "name", "said"), [
    ("", "a.jsonl", "there are no rows"), ("\n \n", "a.jsonl", "there are no rows"), ("prompt,completion\n", "a.csv", "there are no rows"),
    ("hello\n", "a.jsonl", "line 1: no line of it can be a training row: it is not valid JSON"),
    ("prompt,completion\na,b,c\n", "a.csv", "line 2: 3 cells, but the header has 2"),
    ('prompt,completion\n"a,b\n', "a.csv", "line 2: the quotes do not match"),
    ("no workbook", "a.xlsx", "not an XLSX file"), ("x", "a.docx", "cannot read files with the suffix '.docx'"),
    ('[{"prompt": "a"', "a.json", "not valid JSON"), ("[1]", "a.json", "expected an object, met a number"),
])
def test_a_file_that_cannot_be_read_is_refused_by_name_and_line(read_of, content, name, said):
    with pytest.raises(FormatError, match=said) as caught:
        read_of(content, name)
    assert name in str(caught.value)


def test_a_column_that_is_not_there_is_named(read_of):
    for options in ({"prompt": ["x"]}, {"completion": "x"}, {"group": "x"}):
        with pytest.raises(FormatError, match="there is no column 'x'"):
            read_of(CSV, "a.csv", **options)
    with pytest.raises(FormatError, match="cannot be both"):
        read_of(CSV, "a.csv", prompt=["prompt"], completion="prompt")


def test_prompt_completion_rows_become_chats_without_their_markers_and_back(read_of):
    table = converted(read_of(pairs(4)), "chat")
    assert table.row(1)["messages"] == [{"role": "user", "content": pairs(4)[1]["prompt"].removesuffix("\n\n###\n\n")},
                                        {"role": "assistant", "content": "no"}]
    back = converted(table, "completion")
    assert [row["completion"] for row in back.rows()] == ["yes", "no", "yes", "no"] and back.lines.tolist() == [1, 2, 3, 4]


def test_what_cannot_be_converted_is_kept_aside_with_the_reason(read_of):
    long = {"messages": chats(1)[0]["messages"] * 2}
    table = converted(read_of([*chats(2), long, {"messages": []}, {**chats(1)[0], "tools": [{"type": "function"}]}]), "completion")
    assert len(table) == 2
    assert [(misfit.line, misfit.why) for misfit in table.misfits] == [
        (3, "it is no single exchange of user and assistant: user, assistant, user, assistant"),
        (4, "messages is an empty list"), (5, "it has tools, which a prompt cannot hold")]
    with pytest.raises(FormatError, match="line 1: no row can become a completion row"):
        converted(read_of([long]), "completion")
    with pytest.raises(FormatError, match="preference rows cannot become chat rows"):
        converted(read_of(preferences(2)), "chat")
