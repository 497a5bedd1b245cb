"""`cookbook prepare-data` as people and programs meet it: questions, reports, files, exit status."""

import json
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from helpers.cli import app
from helpers.jsonl import read_jsonl

MESSY = ("message;team;id\nWhere is my parcel?;delivery;1\nWhere is my parcel?;delivery;2\nI was charged twice;Billing;3\n;billing;4\n"
         "The app crashes;;5\n" + "".join(f"{'abcdefghij'[n] * 4} does not work;{('billing', 'delivery')[n % 2]};{n + 6}\n" for n in range(10)))


@pytest.fixture
def messy(tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_text(MESSY, encoding="utf-8")
    return path


@pytest.fixture
def run():
    """Run the command on a file, with answers to its questions."""
    def run(path, *options, answers=""):
        return CliRunner().invoke(app, ["prepare-data", "-f", str(path), *options], input=answers)
    return run


def test_quiet_takes_every_suggestion_and_says_what_became_of_each_row(run, messy):
    result = run(messy, "-q")
    assert result.exit_code == 0, result.output
    rows = read_jsonl(messy.with_name("tickets_prepared.jsonl"))
    assert len(rows) == 13 and rows[0] == {"prompt": "Where is my parcel?\n\n###\n\n", "completion": " delivery"}
    assert "15 rows read, 2 dropped, 13 left:" in result.output
    assert "1 dropped: it is the same as an earlier row (line 3)" in result.output
    assert "cookbook fine-tunes create -t" in result.output
    assert messy.read_text(encoding="utf-8") == MESSY


def test_each_suggestion_is_asked_about_and_can_be_refused(run, messy):
    result = run(messy, answers="n\n?\ny\n\nmaybe\ny\n\n\n\n")
    assert result.exit_code == 1, result.output  # the empty completion was kept, and is an error
    assert "Errors remain" in result.output and "y: yes, n: no" in result.output and "(dropped)" in result.output
    assert any(not row["completion"].strip() for row in read_jsonl(messy.with_name("tickets_prepared.jsonl")))


def test_who_has_enough_of_questions_takes_all_or_leaves(run, messy):
    assert run(messy, answers="a\n").exit_code == 0
    before = messy.with_name("tickets_prepared.jsonl").read_bytes()
    result = run(messy, answers="y\nq\n")
    assert result.exit_code == 1 and "Nothing was written." in result.output and "Error" not in result.output
    assert messy.with_name("tickets_prepared.jsonl").read_bytes() == before


def test_without_anybody_to_answer_nothing_is_written(run, messy):
    result = run(messy)
    assert result.exit_code == 1 and "There is nobody to answer" in result.output
    assert not messy.with_name("tickets_prepared.jsonl").exists()


def test_a_result_that_is_there_already_is_replaced_only_with_consent(run, tmp_path):
    path, there = tmp_path / "a.jsonl", tmp_path / "a_prepared.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{letter * 4} ->", "completion": f" {letter}x\n"}) + "\n" for letter in "abcdefghijkl"),
                    encoding="utf-8")
    there.write_text("mine", encoding="utf-8")
    result = run(path, answers="what\nn\n")
    assert result.exit_code == 1 and "Replace it?" in result.output and there.read_text(encoding="utf-8") == "mine"
    assert run(path, answers="\n").exit_code == 0 and len(read_jsonl(there)) == 12


def test_fixes_are_applied_by_name_and_by_name_alone(run, messy):
    result = run(messy, "--fix", "separator", "--fix", "no-such-fix")
    assert result.exit_code == 1
    rows = read_jsonl(messy.with_name("tickets_prepared.jsonl"))
    assert len(rows) == 15 and all(row["prompt"].endswith("\n\n###\n\n") for row in rows)
    assert rows[0]["completion"] == "delivery" and "nothing to fix under the name 'no-such-fix'" in result.output


def test_json_is_for_programs_and_writes_only_when_told_to(run, messy):
    result = run(messy, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1 and report["errors_remaining"] == ["empty-completions"] and report["written"] == []
    assert list(messy.parent.iterdir()) == [messy]
    result = run(messy, "--json", "-q")
    report = json.loads(result.stdout)
    assert result.exit_code == 0 and report["errors_remaining"] == [] and report["rows_left"] == 13
    assert report["rows_read"] == report["rows_left"] + len(report["dropped"])
    assert {"line": 3, "why": "it is the same as an earlier row"} in report["dropped"]
    assert [Path(name).name for name in report["written"]] == ["tickets_prepared.jsonl"]
    assert report["next"]["hyperparameters"]["n_epochs"] == 25 and report["tokens"]["per_epoch"] > 50


def test_a_split_is_written_on_demand_and_is_suggested_for_many_classified_rows(run, messy):
    assert run(messy, "-q", "--split").exit_code == 0
    assert len(read_jsonl(messy.with_name("tickets_prepared_train.jsonl"))) == 10
    many = messy.with_name("many.csv")
    many.write_text("text,label\n" + "".join(f"{chr(97 + n % 26) * (n // 26 + 3)} it is,{n % 2}\n" for n in range(60)), encoding="utf-8")
    assert run(many, "-q").exit_code == 0
    assert len(read_jsonl(many.with_name("many_prepared_valid.jsonl"))) == 12
    assert run(many, "-q", "--no-split").exit_code == 0 and many.with_name("many_prepared.jsonl").exists()


def test_columns_that_cannot_be_guessed_are_asked_for_by_number_or_name(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("foo,bar,baz\n" + "".join(f"{'abcdefghijkl'[n] * 4},x{n},{n}\n" for n in range(12)), encoding="utf-8")
    result = run(path, answers="9\n1\nbaz\na\n")
    assert result.exit_code == 0 and "Give a number from 1 to 3" in result.output
    assert read_jsonl(tmp_path / "a_prepared.jsonl")[3] == {"prompt": "dddd\n\n###\n\n", "completion": " 3\n"}
    refused = run(path, "-q")
    assert refused.exit_code == 2 and "'foo', 'bar', 'baz'" in refused.output


def test_rows_become_chats_on_demand(run, messy):
    assert run(messy, "-q", "--format", "chat").exit_code == 0
    first = read_jsonl(messy.with_name("tickets_prepared.jsonl"))[0]
    assert first == {"messages": [{"role": "user", "content": "Where is my parcel?"}, {"role": "assistant", "content": "delivery"}]}


@pytest.mark.parametrize("options", [["-q"], ["--json", "-q"], []])
@pytest.mark.parametrize(("name", "content", "said"), [
    ("gone.csv", None, "No such file"), ("folder.csv", "folder", "Is a directory"), ("a.csv", b"", "the file is empty"),
    ("a.jsonl", b"hello\n", "line 1"), ("a.xlsx", b"x", "not an XLSX file"), ("a.csv", b"prompt,completion\na,b,c\n", "line 2: 3 cells")])
def test_what_cannot_be_read_is_refused_in_a_sentence_with_status_2(run, tmp_path, options, name, content, said):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    result = run(path, *options)
    assert result.exit_code == 2 and said in result.output and "Traceback" not in result.output


def test_rows_that_no_file_can_hold_stop_the_writing_if_they_are_not_left_out(run, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{'abcdefghijkl'[n] * 4} ->", "completion": f" {n}\n"}) + "\n" for n in range(12)) + "oops\n",
                    encoding="utf-8")
    result = run(path, answers="n\n" * 9)
    assert result.exit_code == 1 and "No training file can hold such rows" in result.output
    assert run(path, "-q").exit_code == 0 and len(read_jsonl(tmp_path / "a_prepared.jsonl")) == 12


def test_errors_that_no_fix_cures_remain_and_the_file_is_written_all_the_same(run, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n', encoding="utf-8")
    result = run(path, "-q")
    assert result.exit_code == 1 and "A job needs at least 10" in result.output and (tmp_path / "a_prepared.jsonl").exists()


def test_the_input_is_not_a_place_for_the_result(run, messy):
    result = run(messy, "-q", "--out", str(messy))
    assert result.exit_code == 1 and "never changed" in result.output and messy.read_text(encoding="utf-8") == MESSY


def test_old_spellings_of_options_are_understood(run, messy):
    assert run(messy, "-q", "--prompt_column", "message", "--completion_column", "team").exit_code == 0
    assert run(messy, "-q", "--fix", "separator").exit_code == 2


def test_help_reads_like_a_page_of_the_guide(run):
    said = CliRunner().invoke(app, ["prepare-data", "--help"]).output
    for words in ("Turn a messy table into a training file", "Exit status", "--completion-column", "--group-column", "Who decides"):
        assert words in said


def test_of_several_sheets_one_is_asked_for(run, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["nothing here"])
    page = book.create_sheet("Rows")
    for cells in [["prompt", "completion"], *([f"{letter * 4}", f"x{letter}"] for letter in "abcdefghijkl")]:
        page.append(cells)
    book.save(tmp_path / "a.xlsx")
    result = run(tmp_path / "a.xlsx", answers="7\nRows\na\n")
    assert result.exit_code == 0 and "2  Rows" in result.output and "Give a number from 1 to 2" in result.output
    assert len(read_jsonl(tmp_path / "a_prepared.jsonl")) == 12


def test_why_no_row_is_left_is_said_to_programs_too(run, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"messages": null}\n' * 3, encoding="utf-8")
    result = run(path, "-q", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == (
        "No row is left: messages is null, not a list of messages (lines 1-3). Nothing was written.")


def test_a_text_that_looks_like_markup_is_shown_as_it_is(run, tmp_path):
    path = tmp_path / "a[b].csv"
    path.write_text("prompt,completion\n[bold]x[/bold],[/]y\n" + "".join(f"{c * 4}[/],{c}x\n" for c in "abcdefghijkl"), encoding="utf-8")
    result = run(path, answers="?\n" + "\n" * 9)
    assert result.exit_code == 0 and "[bold]x[/bold]" in result.output and "a[b].csv" in result.output


def test_reasons_beyond_a_dozen_are_summed_up(run, tmp_path):
    path = tmp_path / "a.jsonl"
    good = [{"messages": [{"role": "user", "content": c * 4}, {"role": "assistant", "content": c * 5}]} for c in "abcdefghijkl"]
    bad = [{"messages": [{"role": f"r{n}", "content": "x"}]} for n in range(15)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*good, *bad]), encoding="utf-8")
    result = run(path, "-q")
    assert result.exit_code == 0 and "3 dropped for 3 other reasons" in result.output
