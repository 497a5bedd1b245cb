"""What a row under review looks like as text, and the texts of it that can be typed over."""

import json

import pytest

from helpers import review
from helpers.errors import FormatError
from helpers.preparation.endings import Style
from helpers.reviewing.editing import texts, with_texts
from helpers.reviewing.looks import parts, plain, visible

from .made import CHAT, PREFERENCE, pair, write


def test_the_listing_names_line_tokens_decision_and_the_text_with_its_markers(tickets):
    sheet = review(tickets, n=2, order="file")
    sheet.flag(2, why="ask Ann")
    assert repr(sheet) == str(sheet) == (
        f"{tickets}: 2 of 20 rows, in the order of the file.\n"
        "Decided so far: 1 flagged.\n"
        "↵ is a line break, · a space at an edge, ⟦ ⟧ hold the separator and the stop sequence.\n\n"
        "1 of 2: line 1, about 11 tokens (1 % of 2,048), not decided\n"
        "  prompt\n      Where is parcel 1?⟦↵↵###↵↵⟧\n  completion\n      ·team 1⟦·END⟧\n\n"
        "2 of 2: line 2, about 11 tokens (1 % of 2,048), flagged: ask Ann\n"
        "  prompt\n      Where is parcel 2?⟦↵↵###↵↵⟧\n  completion\n      ·team 2⟦·END⟧")


def test_tokens_and_their_share_are_those_of_the_model_named(tickets):
    assert "line 1, 11 tokens (under 1 % of 65,536)" in review(tickets, order="file", model="gpt-4.1-mini").show(1)


def test_a_row_over_the_limit_has_a_share_above_all_of_it(path):
    write(path, [pair(1, prompt=" word" * 4096), pair(2)])
    assert "(200 % of 2,048)" in review(path, order="longest").show(1)


def test_a_long_text_is_cut_in_the_listing_but_not_at_its_end_and_shown_whole(path):
    write(path, [pair(1, prompt="a" * 5000 + "\n\n###\n\n"), pair(2)])
    sheet = review(path, order="file")
    assert "[…4,000 characters…]" in repr(sheet) and "a⟦↵↵###↵↵⟧" in repr(sheet) and len(repr(sheet)) < 2000
    assert "a" * 5000 in sheet.show(1)


def test_a_listing_of_many_rows_ends_somewhere(path):
    write(path, [pair(number) for number in range(60)])
    assert "50 of 60: line" in repr(review(path, n=None)) and repr(review(path, n=None)).endswith("… and 10 rows more.")


def test_a_row_without_the_markers_of_the_others_says_so(path):
    write(path, [*(pair(number) for number in range(9)), {"prompt": "Where?", "completion": " team"}])
    shown = review(path, order="file").show(10)
    assert "prompt, without the separator ⟦↵↵###↵↵⟧" in shown and "completion, without the stop sequence ⟦·END⟧" in shown


def test_messages_are_shown_with_roles_weights_calls_and_tools():
    shown = plain(parts(CHAT, Style()), indent="")
    assert shown.splitlines()[:1] == ["tools"]
    assert "user\n    Where is it?↵\n    Please.\n" in shown
    assert "assistant (weight 0: not learned)\n    One moment.\n" in shown
    assert 'assistant\n    calls find_order({"id": 7}) as call_1\n' in shown
    assert "tool (answers call_1)\n    van\n" in shown and shown.endswith("assistant (weight 1)\n    In the van.")


def test_both_answers_of_a_preference_are_shown_under_today_s_and_older_names():
    older = {name.replace("output", "completion"): value for name, value in PREFERENCE.items()}
    for row in (PREFERENCE, older):
        assert plain(parts(row, Style()), indent="") == (
            "user\n    Hello?\nassistant (preferred)\n    Good morning.\nassistant (not preferred)\n    What.")


@pytest.mark.parametrize(("row", "complaint"), [
    ({"prompt": "a", "completion": None}, "completion is null, not a text"),
    ({"prompt": "a"}, "completion is missing"),
    ({"prompt": "a", "completion": " "}, "completion is empty"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "role is 'robot'"),
    ({"input": {"messages": "x"}}, "input is a text, not a list of messages"),
    ({"prompt": "\ud800", "completion": "x"}, "half of a surrogate pair"),
])
def test_a_row_of_which_nothing_can_be_learned_is_shown_as_it_is_and_says_why(row, complaint, path):
    path.write_text(json.dumps(row) + "\n" + json.dumps(pair(2)) + "\n", encoding="utf-8")
    shown = review(path, order="file").show(1)
    assert complaint in shown and "tokens unknown" in shown and shown.encode()


def test_what_cannot_be_seen_is_written_out():
    assert visible("  a\tb\u200b\x1b[31m\r\n\u2028\ud800 ") == "··a⇥\tb\\u200b\\u001b[31m\\u000d↵\n\\u2028\\ud800·"
    assert visible("   ") == "···"
    assert "(empty)" in plain(parts(pair(1, prompt=""), Style()))


@pytest.mark.parametrize("row", [pair(1), CHAT, PREFERENCE, pair(1, tags=["a"], id=7), {"messages": [3, {"role": None}]}])
def test_texts_that_nobody_typed_over_change_nothing(row):
    assert with_texts(row, texts(row)) == {}


def test_each_text_of_a_row_can_be_typed_over_and_calls_are_json():
    names = texts(CHAT)
    assert list(names) == ["messages 1, system", "messages 2, user", "messages 3, assistant", "messages 4, assistant",
                           "messages 5, tool", "messages 6, assistant"]
    call = json.loads(names["messages 4, assistant"])
    call["tool_calls"][0]["function"]["arguments"] = "{}"
    changed = with_texts(CHAT, names | {"messages 2, user": "Where?", "messages 4, assistant": json.dumps(call)})
    assert changed["messages"][1]["content"] == "Where?" and changed["messages"][3] == call
    assert changed["messages"][5] == CHAT["messages"][5], "weights and all else stay"
    asked = with_texts(PREFERENCE, texts(PREFERENCE) | {"input 1, user": "Hi?"})
    assert asked == {"input": {"messages": [{"role": "user", "content": "Hi?"}]}}
    with pytest.raises(FormatError, match="messages 4, assistant is no JSON"):
        with_texts(CHAT, names | {"messages 4, assistant": "{"})
