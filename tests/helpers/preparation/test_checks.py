"""Each check finds what it is there for, says where, and its fix cures it."""

import json

import pytest

from helpers.errors import FormatError
from helpers.preparation import Options, by_name, inspect, overview, prepare

from .made import chats, kinds, pairs, preferences, table_of

QUIET = {"class-balance", "example-count"}  # always said


def found(table, kind, options=None):
    """The finding of that name."""
    return next(finding for finding in inspect(table, options) if finding.kind == kind)


def test_of_good_rows_there_is_nothing_to_say_but_how_many_they_are(read_of):
    assert kinds(table_of(pairs(12))) == QUIET
    assert kinds(read_of(chats(12))) == kinds(read_of(preferences(12))) == {"example-count"}


# Rows that are added to good ones, as lines 13, 14 ...: what is found, on which of them, what is left of them after the fix.
ADDED = [
    ("missing-values", [{"prompt": "x"}, {"prompt": None, "completion": " yes"}], []),
    ("not-text", [{"prompt": "is it 1?\n\n###\n\n", "completion": 1}], [{"prompt": "is it 1?\n\n###\n\n", "completion": "1"}]),
    ("not-text", [{"prompt": "is it?\n\n###\n\n", "completion": {"a": [None]}}],
     [{"prompt": "is it?\n\n###\n\n", "completion": '{"a": [null]}'}]),
    ("empty-completions", [{"prompt": "x\n\n###\n\n", "completion": ""}, {"prompt": "y\n\n###\n\n", "completion": " \n"}], []),
    ("control-characters", [{"prompt": "a\x00b\u200b\r\nc\n\n###\n\n", "completion": " yes"}],
     [{"prompt": "ab\nc\n\n###\n\n", "completion": " yes"}]),
    ("separator", [{"prompt": "no end", "completion": " yes"}, {"prompt": "another -> ", "completion": " yes"}],
     [{"prompt": "no end\n\n###\n\n", "completion": " yes"}, {"prompt": "another ->\n\n###\n\n", "completion": " yes"}]),
    ("completion-start", [{"prompt": "x\n\n###\n\n", "completion": "yes"}, {"prompt": "y\n\n###\n\n", "completion": "\n  yes"}],
     [{"prompt": "x\n\n###\n\n", "completion": " yes"}, {"prompt": "y\n\n###\n\n", "completion": " yes"}]),
    ("label-spelling", [{"prompt": "x\n\n###\n\n", "completion": " Yes."}], [{"prompt": "x\n\n###\n\n", "completion": " yes"}]),
    ("duplicate-rows", [pairs(1)[0], pairs(2)[1]], []),
    ("too-long", [{"prompt": "word " * 2100 + "\n\n###\n\n", "completion": " yes"}], []),
]


@pytest.mark.parametrize(("kind", "added", "left"), ADDED, ids=[f"{kind} {n}" for n, (kind, _, _) in enumerate(ADDED)])
def test_a_bad_row_is_found_by_its_line_and_the_fix_cures_it(kind, added, left):
    table = table_of([*pairs(12), *added])
    assert list(found(table, kind).lines) == list(range(13, 13 + len(added)))
    assert prepare(table, agree=by_name([kind])).applied == {kind}
    assert list(table.rows()) == [*pairs(12), *left]
    assert kind not in kinds(table_of(list(table.rows())))


@pytest.mark.parametrize(("kind", "changed", "said"), [
    ("separator", {"prompt": "a b"}, "do not end with a common separator"),
    ("stop-sequence", {"completion": "a long story about it, number "}, "do not end with a common stop sequence"),
    ("prompt-beginning", {"prompt": "Tell me whether this is so: "}, 'All prompts begin with "Tell me whether this is so: "'),
    ("completion-beginning", {"completion": " The answer is "}, 'All completions begin with "The answer is "'),
    ("capitals-prompts", {"prompt": "WHERE IS "}, "More than a third of the letters of the prompts are capitals"),
])
def test_what_concerns_all_rows_is_said_once(kind, changed, said):
    rows = [{name: f"{changed[name]}{'abcdefghijkl'[n] * 3}" if name in changed else value for name, value in row.items()}
            for n, row in enumerate(pairs(12))]
    assert said in found(table_of(rows), kind).what


def test_a_separator_that_occurs_within_a_prompt_is_changed_everywhere():
    table = table_of([*pairs(12), {"prompt": "a\n\n###\n\nb\n\n###\n\n", "completion": " yes"}])
    assert list(found(table, "separator").lines) == [13]
    prepare(table)
    assert all(row["prompt"].endswith(" ->") for row in table.rows())
    assert table.row(12)["prompt"] == "a\n\n###\n\nb ->"


def test_a_stop_sequence_that_occurs_within_a_completion_is_changed_everywhere():
    rows = [{"prompt": row["prompt"], "completion": f" line {'abcdefghijklm'[n] * 4}\nand more\n"} for n, row in enumerate(pairs(12))]
    table = table_of(rows)
    assert len(found(table, "stop-sequence").lines) == 12
    prepare(table)
    assert table.row(0)["completion"] == " line aaaa\nand more END"


def test_a_class_of_one_token_needs_no_stop_sequence_and_one_of_several_does():
    several = [row | {"completion": (" very good", " very bad")[n % 2]} for n, row in enumerate(pairs(12))]
    assert "stop-sequence" not in kinds(table_of(pairs(12)))
    assert "stop-sequence" in kinds(table_of(several))


def test_rows_that_differ_only_in_what_will_be_put_right_are_the_same():
    rows = [*pairs(12), {"prompt": "where is the aaa one?  ", "completion": "yes"}]
    assert list(found(table_of(rows), "duplicate-rows").lines) == [13]


def test_equal_prompts_with_different_answers_are_named_and_left():
    table = table_of([*pairs(12), pairs(1)[0] | {"completion": " no"}])
    assert list(found(table, "conflicting-answers").lines) == [1, 13]
    prepare(table)
    assert len(table) == 13


def test_near_duplicates_are_found_whatever_their_digits_and_case():
    rows = [*pairs(12), {"prompt": "My order 1234 has not come yet, please help me soon\n\n###\n\n", "completion": " yes"},
            {"prompt": "my order 99 has not come yet. Please, help me soon!\n\n###\n\n", "completion": " no"}]
    assert list(found(table_of(rows), "near-duplicates").lines) == [14]


def test_classes_that_are_rare_are_named():
    rows = [row | {"completion": " yes" if n else " no"} for n, row in enumerate(pairs(30))]
    finding = found(table_of(rows), "class-balance")
    assert finding.severity == "warning" and finding.what == '2 classes: "yes" 29, "no" 1.'


@pytest.mark.parametrize(("number", "severity"), [(9, "error"), (10, "advice"), (200, "advice")])
def test_the_number_of_examples_is_judged_by_the_task(number, severity):
    assert found(table_of(pairs(number)), "example-count").severity == severity
    assert ("good number" in found(table_of(pairs(number)), "example-count").what) == (number == 200)


@pytest.mark.parametrize(("text", "hit"), [
    ("Write to ada@shop.de", "e-mail address ada…de"), ("call +44 20 7946 0958 now", "phone number +44…58"),
    ("call (030) 1234-5678", "phone number (03…78"), ("card 4111 1111 1111 1111", "card number 411…11"),
    ("pay to DE89 3704 0044 0532 0130 00", "IBAN"), ("token sk-abcdefghij0123456789", "key sk-…89"), ("my password is hunter2!x", "password"),
])
def test_what_looks_private_is_shown_half_hidden(text, hit):
    finding = found(table_of([*pairs(12), {"prompt": f"{text}\n\n###\n\n", "completion": " yes"}]), "private-data")
    assert list(finding.lines) == [13] and finding.examples[0].startswith(hit)


@pytest.mark.parametrize("text", ["on 2024-05-01 at 12:30", "order 123456789012", "version 1.2.3.4", "12.05.2024 - 14.05.2024", "me@example.com",
                                  "4111 1111 1111 1112", "the password reset page", "task-abcdefghijklmnopqrstuvwxyz", "1,234,567.89"])
def test_what_is_no_secret_is_left_in_peace(text):
    assert "private-data" not in kinds(table_of([*pairs(12), {"prompt": f"{text}\n\n###\n\n", "completion": " yes"}]))


def test_damage_by_a_wrong_encoding_and_special_tokens_are_found():
    rows = [*pairs(12), {"prompt": "schÃ¶n wÃ¤re es\n\n###\n\n", "completion": " yes"},
            {"prompt": "a <|endoftext|> b\n\n###\n\n", "completion": " yes"}]
    assert list(found(table_of(rows), "damaged-text").lines) == [13]
    assert list(found(table_of(rows), "special-tokens").lines) == [14]


def test_the_limit_is_the_models_and_another_tokenizer_gets_a_warning():
    rows = [*pairs(12), {"prompt": "word " * 1800 + "\n\n###\n\n", "completion": " yes"}]
    assert list(found(table_of(rows), "maybe-too-long").lines) == [13]
    assert kinds(table_of(rows), Options("gpt-4.1-mini", 65_536)) == QUIET
    assert list(found(table_of(rows), "too-long", Options(max_tokens=1000)).lines) == [13]


def test_messages_that_the_api_refuses_are_dropped_and_extra_fields_removed(read_of):
    added = [{"messages": [{"role": "bot", "content": "x"}]}, {**chats(13)[12], "id": 3},
             {"messages": [{**message, "time": 1} for message in chats(14)[13]["messages"]]}]
    table = read_of([*chats(12), *added])
    assert list(found(table, "message-errors").lines) == [13] and list(found(table, "extra-fields").lines) == [14, 15]
    assert found(table, "message-errors").examples[0].startswith("line 13: messages, message 1: role is 'bot', not one of")
    prepare(table)
    assert list(table.rows()) == chats(14)[:12] + chats(14)[12:]


def test_odd_turns_and_preferences_for_nothing_are_found(read_of):
    odd = [{"messages": [*chats(1)[0]["messages"], {"role": "user", "content": "and?"}]},
           {"messages": [{"role": "assistant", "content": "hello there"}]},
           {"messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}, *chats(20)[19]["messages"][1:]]}]
    assert list(found(read_of([*chats(12), *odd]), "turn-order").lines) == [13, 14, 15]
    same = preferences(13)[12] | {"non_preferred_output": preferences(13)[12]["preferred_output"]}
    assert list(found(read_of([*preferences(12), same]), "same-answers").lines) == [13]


def test_controls_in_chats_are_removed_from_every_message(read_of):
    rows = json.loads(json.dumps(chats(12)).replace("is the", "is\\u0007 the"))
    table = read_of(rows)
    prepare(table)
    assert list(table.rows()) == chats(12)


def test_label_spelling_of_chats_touches_the_answer_alone(read_of):
    rows = [{"messages": [{"role": "user", "content": "billing" if n == 11 else f"{'abcdefghijkl'[n] * 5} it?"},
                          {"role": "assistant", "content": ("Billing", "Other", "billing")[2 if n == 11 else n % 2]}]} for n in range(12)]
    table = read_of(rows)
    prepare(table)
    assert [message["content"] for message in table.row(11)["messages"]] == ["billing", "Billing"]


@pytest.mark.parametrize(("rows", "task"), [
    (pairs(12), "classification"), ([row | {"completion": f" {'abcdefghijkl'[n] * 4}"} for n, row in enumerate(pairs(12))], "generation"),
    ([{"prompt": "", "completion": f" a {'abcdefghijkl'[n] * 4}"} for n in range(12)], "open-ended"),
    ([row | {"completion": " " + "a long stock answer " * 9} for row in pairs(12)], "generation"),
])
def test_the_task_is_guessed(rows, task):
    assert prepare(table_of(rows)).task == task


def test_conversations_with_several_turns_are_a_chat(read_of):
    rows = [{"messages": row["messages"] * 3} for row in chats(12)]
    assert prepare(read_of(rows)).task == "chat" and prepare(read_of(preferences(12))).task == "preference"


def test_the_quick_checks_leave_out_those_that_read_every_word():
    rows = [*pairs(12), {"prompt": "me: ada@shop.de <|endoftext|> schÃ¶n\n\n###\n\n", "completion": " yes"}]
    assert kinds(table_of(rows), Options(quick=True)) == QUIET


def test_a_preview_shows_before_and_after_with_the_line():
    table = table_of([*pairs(12), {"prompt": "x\n\n###\n\n", "completion": "yes"}])
    assert found(table, "completion-start").fix.preview() == [(13, '"yes"', '" yes"')]
    assert found(table_of([*pairs(12), pairs(1)[0]]), "duplicate-rows").fix.preview()[0][2] is None


def test_a_marker_that_stands_twice_is_no_reason_to_change_it_everywhere():
    rows = [row | {"completion": f" a {'abcdefghijkl'[n] * 4} answer END"} for n, row in enumerate(pairs(12))]
    rows[4]["completion"] += " END"
    table = table_of(rows)
    finding = found(table, "stop-sequence")
    assert list(finding.lines) == [5] and 'stop sequence " END" once' in finding.what
    prepare(table)
    assert table.row(4)["completion"] == " a eeee answer END" and table.row(0) == rows[0]


def test_a_shared_instruction_is_found_whole_though_one_row_has_nothing_after_it():
    rows = [row | {"prompt": f"Name the tone of this text: {row['prompt']}"} for row in pairs(12)]
    rows[3]["prompt"] = "Name the tone of this text:\n\n###\n\n"
    table = table_of(rows)
    assert found(table, "prompt-beginning").what == 'All prompts begin with "Name the tone of this text: ".'
    assert list(found(table, "empty-prompts").lines) == [4]
    prepare(table)
    assert table.row(0) == pairs(1)[0] and table.row(3)["prompt"].strip() == "###"


def test_a_row_that_is_nothing_but_a_special_token_goes_with_it_and_is_accounted_for():
    rows = [{"prompt": "", "completion": f" fortune {'abcdefghijkl'[n] * 4}\n"} for n in range(12)]
    rows[6]["completion"] = " <|endoftext|>\n"
    table = table_of(rows)
    prepare(table, agree=by_name(["special-tokens"]))
    assert table.dropped == [(7, "nothing is left of it without its special tokens")] and len(table) == 11


def test_what_is_said_before_every_conversation_makes_none_of_them_alike(read_of):
    system = {"role": "system", "content": "You answer for the museum of everyday things by the harbour, be brief and kind to all."}
    rows = [{"messages": [system, *row["messages"]]} for row in chats(12)]
    rows[8]["messages"][1] = {"role": "user", "content": rows[7]["messages"][1]["content"].upper()}
    finding = found(read_of(rows), "near-duplicates")
    assert list(finding.lines) == [9] and finding.examples[0].startswith('"WHOSE IS THE')


def test_each_row_of_messages_is_dropped_for_its_own_reason(read_of):
    table = read_of([*chats(12), {"messages": []}, {"messages": [{"role": "bot", "content": "x"}]}])
    prepare(table)
    assert [(line, why[:32]) for line, why in table.dropped] == [
        (13, "messages is an empty list"), (14, "messages, message 1: role is 'bo")]


def test_one_row_is_not_called_the_1_row():
    fix = found(table_of([*pairs(12), {"prompt": "x\n\n###\n\n", "completion": ""}]), "empty-completions").fix
    assert fix.what == "Drop the row."


def test_the_overview_is_a_table_of_the_findings():
    table = overview(inspect(table_of([*pairs(12), pairs(1)[0]])))
    assert table.columns.tolist() == ["severity", "kind", "where", "what", "fix"]
    assert table.loc[table["kind"] == "duplicate-rows", ["where", "fix"]].to_numpy().tolist() == [["line 13", "suggested"]]


def test_a_row_is_found_by_its_line_while_it_is_there():
    table = table_of([*pairs(12), pairs(1)[0]])
    assert table.at(13) == pairs(1)[0]
    prepare(table)
    with pytest.raises(FormatError, match="line 13: there is no row, or not any more"):
        table.at(13)


def test_previews_show_what_is_wrong_with_rows_of_messages(read_of):
    table = read_of([*chats(12), {**chats(13)[12], "annotator": "K."}, {"messages": [{"role": "bot", "content": "x"}]}])
    assert "annotator" in found(table, "extra-fields").fix.preview()[0][1]
    assert "bot" in found(table, "message-errors").fix.preview()[0][1]
