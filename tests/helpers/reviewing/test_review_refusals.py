"""What a review refuses: samples, files, decisions and exports; and that nothing half-written stays."""

import json

import pytest

from helpers import review
from helpers.errors import CookbookError, FileError, FormatError

from .made import decided, pair, rows_of, write


@pytest.mark.parametrize("foreign", [pair(1), [1], {"action": "burn", "line": 1, "mark": "x", "id": "1"},
                                     {"action": "drop", "line": 1, "mark": "x"},
                                     {"action": "edit", "line": 1, "mark": "x", "id": "1", "changes": {"prompt": "x"}}])
def test_another_file_under_the_name_of_the_decisions_is_left_alone(tickets, log, foreign):
    log.write_text(json.dumps(foreign) + "\n")
    with pytest.raises(FormatError, match=r"tickets.review.jsonl, line 1: this is no decision about a row"):
        review(tickets)
    assert rows_of(log) == [foreign]


@pytest.mark.parametrize(("act", "complaint"), [
    (lambda sheet: sheet.keep(99), r"tickets.jsonl, line 99: there is no row in this line: the file has 20 rows in the lines 1 to 20"),
    (lambda sheet: sheet.show(0), r"line 0: there is no row"),
    (lambda sheet: sheet.drop("3"), r"expected the number of a line, met '3'"),
    (lambda sheet: sheet.drop(True), r"expected the number of a line, met True"),
    (lambda sheet: sheet.drop(3, why=7), r"line 3: why is 7: give the reason as text"),
    (lambda sheet: sheet.edit(3), r"line 3: nothing to change: give one of the row's fields, 'prompt', 'completion'"),
    (lambda sheet: sheet.edit(3, answer="x"), r"line 3: the row has no field 'answer': it has 'prompt', 'completion'"),
    (lambda sheet: sheet.edit(3, completion=""), r"line 3: nothing could be learned from the row .*completion is empty"),
    (lambda sheet: sheet.edit(3, prompt=7), r"line 3: .*prompt is a number, not a text"),
    (lambda sheet: sheet.edit(3, prompt="\ud800"), r"line 3: .*half of a surrogate pair"),
    (lambda sheet: sheet.edit(3, prompt={1}), r"line 3: cannot be written as JSON"),
    (lambda sheet: sheet.edit(13, prompt="x"), r"line 13: it was dropped \(rude\): bring it back first, with keep\(13\)"),
    (lambda sheet: sheet.flag(13), r"line 13: it was dropped \(rude\)"),
])
def test_what_cannot_be_decided_is_refused_with_the_line_and_leaves_no_trace(tickets, log, act, complaint):
    sheet = review(tickets)
    sheet.drop(13, why="rude")
    before = log.read_bytes()
    with pytest.raises(FormatError, match=complaint):
        act(sheet)
    assert log.read_bytes() == before


@pytest.mark.parametrize(("options", "complaint"), [
    ({"n": 0}, "n=0: give the number of rows"), ({"n": True}, "n=True"), ({"n": 2.5}, "n=2.5"),
    ({"order": "oldest"}, "order='oldest': choose one of 'random', 'longest'")])
def test_other_samples_are_refused(tickets, options, complaint):
    with pytest.raises(FormatError, match=complaint):
        review(tickets, **options)


@pytest.mark.parametrize(("name", "content", "complaint"), [
    ("a.csv", "prompt,completion\n", "expected a training file in JSONL, met the suffix '.csv': prepare it first"),
    ("a.jsonl", "\n\n", "there are no rows in it"),
    ("a.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt": ', "line 2: not valid JSON"),
    ("a.jsonl", '\n{"name": "x", "article": "y"}\n', r"line 2: it holds no training rows: this one has the fields 'name', 'article'"),
])
def test_a_file_that_is_none_for_training_is_refused(tmp_path, name, content, complaint):
    (tmp_path / name).write_text(content)
    with pytest.raises(FormatError, match=complaint):
        review(tmp_path / name)


def test_a_missing_file_is_refused_by_its_name(tmp_path):
    with pytest.raises(FileError, match=r"gone.jsonl: cannot be read \(No such file") as refused:
        review(tmp_path / "gone.jsonl")
    assert isinstance(refused.value, OSError) and isinstance(refused.value, CookbookError)


def test_an_export_onto_the_input_its_links_the_decisions_or_a_folder_is_refused(tickets, log, tmp_path):
    sheet = review(tickets)
    sheet.drop(1)
    (tmp_path / "soft.jsonl").symlink_to(tickets)
    (tmp_path / "hard.jsonl").hardlink_to(tickets)
    there = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for target, complaint in ((tickets, "under review, which is never changed"), (tmp_path / "soft.jsonl", "under review"),
                              (tmp_path / "hard.jsonl", "under review"), (tmp_path / "x" / ".." / "tickets.jsonl", "under review"),
                              (log, "the file of the decisions"), (tmp_path, "this is a folder")):
        with pytest.raises(FormatError, match=complaint):
            sheet.export(target)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == there


def test_an_export_of_nothing_is_refused(path, tmp_path):
    sheet = review(write(path, [pair(1)]))
    sheet.drop(1)
    with pytest.raises(FormatError, match="all rows are dropped"):
        sheet.export(tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_an_export_to_where_nothing_can_be_written_leaves_nothing(tickets, tmp_path):
    (tmp_path / "file").touch()
    there = set(tmp_path.iterdir())
    with pytest.raises(FileError, match=r"out.jsonl: cannot be written .*choose a folder that you may write to"):
        review(tickets).export(tmp_path / "file" / "out.jsonl")
    assert set(tmp_path.iterdir()) == there


def test_an_export_that_breaks_off_leaves_the_older_file_whole(tickets, tmp_path, monkeypatch):
    sheet, target = review(tickets), tmp_path / "out.jsonl"
    sheet.export(target)
    before, there = target.read_bytes(), set(tmp_path.iterdir())

    def full(self, standing, kept):
        yield b"{}\n"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(sheet), "_written", full)
    with pytest.raises(FileError, match="No space left on device"):
        sheet.export(target)
    assert target.read_bytes() == before and set(tmp_path.iterdir()) == there


def test_a_decision_that_cannot_be_written_down_is_not_made(tickets, log):
    sheet = review(tickets)
    log.mkdir()
    with pytest.raises(FileError, match=r"tickets.review.jsonl: the decisions cannot be read"):
        sheet.drop(1)
    log.rmdir()
    log.symlink_to(tickets.parent / "nowhere" / "log.jsonl")
    with pytest.raises(FileError, match=r"the decision cannot be written down .*copy the data into a folder"):
        sheet.drop(1)
    assert decided(sheet) == []
