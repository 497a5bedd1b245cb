"""One definition of a row for training and for inference."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import CookbookError, FormatError
from helpers.formatting import ChatFormat, PromptFormat, to_chat, to_prompt_completion

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_a_row_has_the_separator_the_leading_space_and_the_stop_sequence():
    assert PromptFormat().row("  Where is it? ", "delivery") == {
        "prompt": "Where is it?\n\n###\n\n", "completion": " delivery\n"}


def test_the_prompt_of_a_row_is_the_prompt_of_a_request():
    style = PromptFormat(separator=" ->", stop=" END", instruction="Name the department.")
    assert style.row("Hi", "x")["prompt"] == style.prompt("Hi") == "Name the department.\n\nHi ->"
    assert style.stop_sequence == " END"


def test_a_single_token_class_needs_no_stop_sequence():
    style = PromptFormat(stop="")
    assert style.completion("yes") == " yes" and style.stop_sequence is None and style.parse(" yes") == "yes"


def test_an_open_ended_task_has_empty_prompts():
    assert PromptFormat(separator="").row("", "Once upon a time")["prompt"] == ""


@pytest.mark.parametrize(("written", "answer"), [(" billing\n", "billing"), ("billing", "billing"), (" a\nb", "a"), ("\n", "")])
def test_parse_cuts_at_the_stop_sequence(written, answer):
    assert PromptFormat().parse(written) == answer


@pytest.mark.parametrize("text", ["a\n\n###\n\nb", "a\n\n###", "a\n\n###\n\n b"])
def test_a_text_in_which_the_separator_would_begin_too_early_is_refused(text):
    with pytest.raises(FormatError, match="contains the separator"):
        PromptFormat().prompt(text)


@pytest.mark.parametrize(("stop", "answer"), [("\n", "two\nlines"), (" END", "END of story"), ("##", "C#")])
def test_an_answer_in_which_the_stop_sequence_would_begin_too_early_is_refused(stop, answer):
    with pytest.raises(FormatError, match="contains the stop sequence"):
        PromptFormat(stop=stop).completion(answer)


def test_an_instruction_with_the_separator_is_refused_at_once():
    with pytest.raises(FormatError, match="the instruction contains the separator"):
        PromptFormat(separator="->", instruction="a->b")


@pytest.mark.parametrize(("values", "said"), [
    (["a", None], "row 2: the text is nothing, not text"),
    (["a", float("nan")], r"row 2: the text is nan \(float\)"),
    (["a\n\n###\n\nb", "b"], "row 1: the text contains the separator"),
])
def test_an_error_in_a_table_names_the_row(values, said):
    frame = pd.DataFrame({"question": pd.Series(values, dtype=object), "team": ["x", "y"]})
    with pytest.raises(FormatError, match=said) as caught:
        PromptFormat().rows(frame, text="question", answer="team")
    assert caught.value.field == "question" and caught.value.row == int(said[4])


def test_an_error_in_a_table_with_file_lines_names_the_line():
    frame = pd.DataFrame({"q": ["a", "b"], "a": ["x", " "]}, index=pd.Index([2, 5], name="line"))
    with pytest.raises(FormatError, match="line 5: the answer is empty") as caught:
        ChatFormat().rows(frame, text="q", answer="a")
    assert (caught.value.line, caught.value.field) == (5, "a")


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(FormatError, match="no column 'text': the table has 'q', 'a'"):
        PromptFormat().rows(pd.DataFrame({"q": [], "a": []}), text="text", answer="a")


def test_rows_come_in_the_tables_order_and_leave_it_unchanged():
    frame = pd.DataFrame({"q": ["b", "a"], "a": ["2", "1"]})
    before = frame.copy()
    assert [row["prompt"][0] for row in PromptFormat().rows(frame, text="q", answer="a")] == ["b", "a"]
    pd.testing.assert_frame_equal(frame, before)


def test_format_errors_are_also_value_errors_and_cookbook_errors():
    assert issubclass(FormatError, ValueError) and issubclass(FormatError, CookbookError)


def test_a_chat_row_has_the_system_message_only_if_there_is_one():
    assert ChatFormat().row(" Hi ", " x ")["messages"] == [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x"}]
    style = ChatFormat(system="Be brief.")
    assert style.row("Hi", "x")["messages"][:-1] == style.messages("Hi")
    assert style.messages("Hi")[0] == {"role": "system", "content": "Be brief."}
    assert style.parse(None) == "" and style.parse(" x\n") == "x"


def test_an_instruction_becomes_the_system_message_and_back():
    style = PromptFormat(instruction="Name the department.")
    row = style.row("Hi", "x")
    chat = to_chat(row, style)
    assert [m["content"] for m in chat["messages"]] == ["Name the department.", "Hi", "x"]
    assert to_prompt_completion(chat) == row


@given(text=TEXT, answer=TEXT, stop=st.sampled_from(["\n", " END", "", "###"]))
def test_the_way_to_chat_rows_and_back_loses_nothing(text, answer, stop):
    style = PromptFormat(stop=stop)
    try:
        row = style.row(text, answer)
    except FormatError:
        return
    assert style.text_of(row["prompt"]) == text.strip()
    assert style.parse(row["completion"]) == answer.strip()
    assert to_prompt_completion(to_chat(row, style), style) == row


@pytest.mark.parametrize("roles", [["user"], ["user", "assistant", "user", "assistant"], [], ["assistant", "user"]])
def test_a_conversation_of_more_than_one_exchange_is_not_flattened_in_silence(roles):
    with pytest.raises(FormatError, match="expected the roles"):
        to_prompt_completion({"messages": [{"role": role, "content": "x"} for role in roles]})


@pytest.mark.parametrize("row", [{}, {"prompt": "x"}, {"prompt": 1, "completion": "x"}, {"messages": []}])
def test_what_is_no_prompt_completion_row_is_refused(row):
    with pytest.raises(FormatError, match="expected a prompt-completion row"):
        to_chat(row)


@pytest.mark.parametrize("messages", [None, "hello", ["hello"]])
def test_what_is_no_chat_row_is_refused(messages):
    with pytest.raises(FormatError, match="expected a chat row"):
        to_prompt_completion({"messages": messages})
