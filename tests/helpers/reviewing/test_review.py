"""Training rows under review: the sample, the decisions, where they are kept, and the file written anew."""

import json

import pytest

import helpers
from helpers import review
from helpers.errors import FormatError
from helpers.reviewing import sheet as sheet_module

from .made import CHAT, PREFERENCE, decided, pair, rows_of, write


def test_review_can_be_imported_from_the_helpers_after_its_modules_were():
    assert callable(helpers.review) and helpers.review is sheet_module.review


def test_a_random_sample_follows_from_the_seed_and_has_no_row_twice(tickets):
    lines = review(tickets, n=12, seed=7).lines
    assert lines == review(tickets, n=12, seed=7).lines != review(tickets, n=12, seed=8).lines
    assert len(set(lines)) == 12 and set(lines) <= set(range(1, 21))


def test_rows_come_by_length_or_as_in_the_file_or_all(path):
    write(path, [pair(1, prompt="word " * count) for count in (5, 50, 1, 20)])
    assert review(path, n=2, order="longest").lines == [2, 4]
    assert review(path, n=2, order="shortest").lines == [3, 1]
    assert review(path, n=2, order="file").lines == [1, 2]
    assert review(path, n=None, order="file").lines == [1, 2, 3, 4] and len(review(path, n=99).lines) == 4


def test_rows_that_cannot_be_counted_come_last_by_length(path):
    write(path, [{"prompt": "a", "completion": None}, pair(2), {"messages": []}, CHAT])
    assert review(path, order="shortest").lines == [2, 4, 1, 3]
    assert review(path, order="longest").lines == [4, 2, 1, 3]


def test_lines_are_those_of_the_file_where_some_are_blank(path):
    path.write_text("\n" + json.dumps(pair(1)) + "\r\n\n" + json.dumps(pair(2)) + "\n", encoding="utf-8")
    assert review(path, order="file").lines == [2, 4]


def test_decisions_are_told_kept_beside_the_data_and_seen_when_the_file_is_opened_again(tickets, log):
    sheet = review(tickets)
    assert not log.exists(), "looking leaves nothing behind"
    assert sheet.keep(17) == "Line 17 kept."
    assert sheet.drop(13, why="offensive") == "Line 13 dropped: offensive."
    assert sheet.flag(4, why="ask Ann") == "Line 4 flagged: ask Ann."
    assert sheet.edit(9, completion=" refund END") == "Line 9 edited (completion)."
    again = review(tickets)
    assert decided(again) == [(17, "keep", ""), (13, "drop", "offensive"), (4, "flag", "ask Ann"), (9, "edit", "")]
    assert again.decisions.iloc[3][["field", "before", "after"]].tolist() == ["completion", " team 9 END", " refund END"]
    assert "·refund⟦·END⟧" in again.show(9) and "Decided so far: 1 kept, 1 dropped, 1 flagged, 1 edited." in repr(again)


def test_before_the_first_decision_the_table_has_its_columns(tickets):
    table = review(tickets).decisions
    assert list(table) == ["line", "decision", "why", "field", "before", "after"] and len(table) == 0


def test_the_last_verdict_on_a_line_counts_and_edits_stay(tickets):
    sheet = review(tickets)
    sheet.flag(5)
    sheet.edit(5, prompt="A?\n\n###\n\n")
    sheet.edit(5, prompt="B?\n\n###\n\n", completion=" b END")
    sheet.drop(5, why="twice")
    sheet.keep(5)
    assert decided(sheet) == [(5, "edit", ""), (5, "edit", ""), (5, "edit", ""), (5, "keep", "")]
    assert "line 5, about 5 tokens (under 1 % of 2,048), kept, edited" in sheet.show(5) and "B?" in sheet.show(5)


def test_a_cell_can_be_run_twice_without_deciding_twice(tickets, log):
    sheet = review(tickets)
    for _ in range(2):
        last = [sheet.keep(1), sheet.drop(2, why="x"), sheet.flag(3), sheet.edit(4, completion=" b END")]
    assert last == ["Line 1 is kept already.", "Line 2 is dropped: x already.", "Line 3 is flagged already.",
                    "Line 4 says so already: nothing to change."]
    assert len(rows_of(log)) == 4


def test_undo_takes_back_the_last_decision_whichever_it_was_and_says_which(tickets, log):
    review(tickets).drop(13, why="offensive")
    sheet = review(tickets)
    sheet.keep(13)
    sheet.edit(2, prompt="Other?\n\n###\n\n", completion=" other END")
    assert sheet.undo() == "Taken back: line 2 edited (prompt, completion). It is not decided now."
    assert sheet.undo() == "Taken back: line 13 kept. It is dropped: offensive now."
    assert sheet.undo() == "Taken back: line 13 dropped: offensive. It is not decided now."
    assert sheet.undo() == "There is no decision to take back." and decided(sheet) == []
    assert [row["action"] for row in rows_of(log)] == ["drop", "keep", "edit", "undo", "undo", "undo"]


def test_two_sheets_of_one_file_see_what_the_other_decides(tickets):
    one, other = review(tickets), review(tickets)
    one.drop(3)
    assert decided(other) == [(3, "drop", "")] and other.undo().startswith("Taken back: line 3 dropped")
    assert decided(one) == []


def test_rows_in_are_rows_written_and_dropped_and_the_input_stays(tickets, tmp_path):
    before = tickets.read_bytes()
    sheet = review(tickets)
    sheet.drop(1), sheet.drop(20), sheet.flag(5), sheet.keep(6)
    sheet.edit(7, completion=" sieben END")
    sheet.edit(8, completion=" acht END")
    sheet.drop(8)
    done = sheet.export(tmp_path / "out" / "reviewed.jsonl")
    assert (done.rows, done.written, done.dropped, done.edited, done.flagged, done.not_applied) == (20, 17, 3, 1, 1, ())
    assert repr(done) == str(done) == (
        f"{tmp_path / 'out' / 'reviewed.jsonl'}: 20 rows in, 17 written (1 edited, 1 flagged), 3 dropped.")
    expected = [pair(number) for number in range(2, 20) if number != 8]
    expected[5] = pair(7, completion=" sieben END")
    assert rows_of(done.path) == expected and tickets.read_bytes() == before


def test_rows_that_nobody_edited_are_written_to_the_letter(path, tmp_path):
    odd = '{"completion":  " \\u00e9", "prompt": "12345678901234567890", "x": 1.0}'
    path.write_bytes(b"\xef\xbb\xbf" + odd.encode() + b"\r\n\r\n" + json.dumps(pair(2)).encode())
    sheet = review(path)
    sheet.edit(3, completion=" ä END")
    sheet.export(tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (
        odd.encode() + b"\n" + json.dumps(pair(2, completion=" ä END"), ensure_ascii=False).encode() + b"\n")


def test_an_export_replaces_an_older_one(tickets, tmp_path):
    sheet, target = review(tickets), tmp_path / "out.jsonl"
    sheet.export(target)
    sheet.drop(1)
    assert sheet.export(target).written == len(rows_of(target)) == 19


def test_a_chat_row_is_edited_by_its_messages_and_a_preference_by_its_answers(path, tmp_path):
    write(path, [CHAT, PREFERENCE])
    sheet = review(path)
    sheet.edit(1, messages=[CHAT["messages"][1], CHAT["messages"][5]])
    better = [{"role": "assistant", "content": "Hello."}]
    sheet.edit(2, preferred_output=better)
    sheet.export(tmp_path / "out.jsonl")
    chat, preference = rows_of(tmp_path / "out.jsonl")
    assert len(chat["messages"]) == 2 and chat["tools"] == CHAT["tools"]
    assert preference == PREFERENCE | {"preferred_output": better}


def test_a_list_that_was_given_to_an_edit_can_be_changed_later_without_effect(path):
    sheet = review(write(path, [CHAT]))
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    sheet.edit(1, messages=messages)
    messages.clear()
    assert "b" in sheet.show(1)


def test_decisions_about_rows_that_changed_are_named_and_not_applied_to_others(tickets, log, tmp_path):
    sheet = review(tickets)
    for line in (2, 3, 20):
        sheet.drop(line)
    sheet.keep(1)
    rows = [pair(number) for number in range(1, 19)]
    rows.insert(2, pair(99))  # row 3 stands in line 4 now, and line 20 is gone
    write(tickets, rows)
    again = review(tickets)
    assert decided(again) == [(2, "drop", ""), (1, "keep", "")]
    assert "they are not applied (lines 3, 20)" in repr(again)
    done = again.export(tmp_path / "out.jsonl")
    assert (done.written, done.dropped, done.not_applied) == (18, 1, (3, 20)) and "lines 3, 20" in str(done)
    assert again.undo().startswith("Taken back: line 1 kept"), "a decision that does not apply is not undone"
    write(tickets, [pair(number) for number in range(1, 21)])
    assert [line for line, _, _ in decided(review(tickets))] == [2, 3, 20], "the old file has its decisions back"


def test_a_row_is_the_same_whatever_the_order_and_the_spaces_of_its_fields(tickets):
    review(tickets).drop(1)
    text = tickets.read_text().replace(json.dumps(pair(1)), '{"completion":" team 1 END","prompt":"Where is parcel 1?\\n\\n###\\n\\n"}')
    tickets.write_text(text)
    assert decided(review(tickets)) == [(1, "drop", "")]


def test_a_file_that_changes_under_an_open_sheet_is_noticed(tickets, tmp_path):
    sheet = review(tickets)
    sheet.drop(1)
    write(tickets, [pair(number) for number in range(5)])
    for attempt in (lambda: sheet.keep(2), lambda: sheet.edit(2, prompt="x"), sheet.undo, lambda: sheet.export(tmp_path / "o.jsonl")):
        with pytest.raises(FormatError, match=r"has changed since it was opened: open it again"):
            attempt()
    assert not (tmp_path / "o.jsonl").exists() and sheet.standing().verdicts.keys() == {1}


@pytest.mark.parametrize("left", [1, 20, -2])
def test_a_decision_cut_off_by_a_crash_is_reported_and_the_others_hold(tickets, log, left):
    sheet = review(tickets)
    sheet.drop(1)
    whole = log.read_bytes()
    sheet.drop(2)
    log.write_bytes(whole + log.read_bytes()[len(whole):][:left])
    again = review(tickets)
    assert decided(again) == [(1, "drop", "")] and "Line 2 of the decisions cannot be read" in repr(again)
    again.drop(3)
    assert [line for line, _, _ in decided(review(tickets))] == [1, 3], "the next decision stands on a line of its own"


def test_a_decision_that_lost_its_line_break_alone_is_whole(tickets, log):
    review(tickets).drop(1)
    log.write_bytes(log.read_bytes().rstrip())
    review(tickets).drop(2)
    assert [line for line, _, _ in decided(review(tickets))] == [1, 2] and "cannot be read" not in repr(review(tickets))
