"""Training files: whatever comes in, examples or an error that names the line come out."""

import json
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local_api.engines.protocols import Chat, Preference, PromptCompletion
from local_api.training_files import InvalidTrainingFile, check_jsonl, json_lines, read_examples, read_messages

USER, ANSWER = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}
PLACE = re.compile(r"[Ll]ine \d+|The file is empty|has \d+ example\(s\)|format, but the method")
KEYS = st.sampled_from(["prompt", "completion", "messages", "input", "preferred_output", "non_preferred_completion", "role", "content",
                        "weight", "tools", "tool_calls", "name", "other"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=4)
    | st.sampled_from(["user", "assistant", "system", "text", USER, ANSWER, [USER, ANSWER], [ANSWER], {"messages": [USER]}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=6)
ROWS = st.dictionaries(KEYS, VALUES, max_size=4) | VALUES
ANYWHERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.jsonl"


@pytest.fixture
def read(path):
    """The examples of a file of these rows (each a dictionary, or a line of text)."""
    def read(*rows, method="supervised", **options):
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
        return read_examples(path, method=method, **options)
    return read


def examples_or_a_place(path, method):
    try:
        examples = read_examples(path, method=method)
    except InvalidTrainingFile as error:
        assert PLACE.search(str(error)), error
        assert error.code in ("invalid_training_file", "invalid_n_examples")
    else:
        lines = path.read_bytes().split(b"\n")
        assert examples and all(lines[found.line - 1].strip() for found in examples)
        assert [found.line for found in examples] == sorted({found.line for found in examples})


@ANYWHERE
@given(content=st.binary(max_size=60))
@example(content=b"")
@example(content=b"\xef\xbb\xbf")
@example(content=b"\r\n\r\n")
@example(content=b'{"prompt": "a", "completion": "b"}\x00')
@example(content=b'{"n": ' + b"9" * 5000 + b"}")
@example(content=b'{"a":' * 5_000)
@example(content=b'{"prompt": "\\ud83d", "completion": "b"}')
def test_whatever_bytes_come_in_examples_or_a_line_come_out(path, content):
    path.write_bytes(content)
    examples_or_a_place(path, "supervised")
    try:
        check_jsonl(path)
    except InvalidTrainingFile as error:
        assert PLACE.search(str(error)), error


@ANYWHERE
@given(rows=st.lists(ROWS, min_size=1, max_size=3), method=st.sampled_from(["supervised", "dpo"]))
@example(rows=[{"messages": [{"role": [], "content": "a"}]}], method="supervised")
@example(rows=[{"messages": [{**ANSWER, "weight": []}]}], method="supervised")
@example(rows=[{"messages": [ANSWER], "tools": 5}], method="supervised")
@example(rows=[{"input": {"messages": [USER]}, "preferred_output": {}, "non_preferred_output": [ANSWER]}], method="dpo")
def test_whatever_json_comes_in_examples_or_a_line_come_out(path, rows, method):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    examples_or_a_place(path, method)


def test_the_three_forms_become_three_kinds_of_examples(read):
    assert read({"prompt": "p", "completion": "c"}) == [PromptCompletion("p", "c", line=1)]
    assert read({"messages": [USER, ANSWER], "tools": [{"type": "function"}]}) == [
        Chat([USER, ANSWER], tools=[{"type": "function"}], line=1)]
    row = {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]}
    assert read(row, method="dpo") == [Preference([USER], [ANSWER], [ANSWER], line=1)]


def test_the_older_names_of_preferences_are_taken(read):
    row = {"input": {"messages": [USER]}, "preferred_completion": [ANSWER], "non_preferred_completion": [ANSWER]}
    assert read(row, method="dpo") == [Preference([USER], [ANSWER], [ANSWER], line=1)]


def test_an_empty_prompt_is_a_prompt(read):
    assert read({"prompt": "", "completion": "c"}) == [PromptCompletion("", "c", line=1)]


def test_lines_are_counted_as_an_editor_counts_them(path):
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a", "completion": "b"}\r\n\r\n   \n{"prompt": "c\\n", "completion": "d"}')
    assert read_examples(path, method="supervised") == [PromptCompletion("a", "b", line=1), PromptCompletion("c\n", "d", line=4)]


def test_a_separator_that_is_no_line_end_in_jsonl_stays_in_its_text(path):
    path.write_text('{"prompt": "a\u2028b\x85", "completion": "c"}\n', encoding="utf-8")
    assert [found.prompt for found in read_examples(path, method="supervised")] == ["a\u2028b\x85"]


def test_a_weight_of_null_is_no_weight(read):
    assert read({"messages": [USER, {**ANSWER, "weight": None}]})[0].messages == [USER, ANSWER]


def test_content_may_come_in_parts_and_an_answer_may_call_tools_alone(read):
    parts = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
    assert read({"messages": [parts, call]})[0].messages == [parts, call]


def test_an_answer_of_the_chat_endpoint_may_be_put_into_the_conversation_as_it_is():
    answered = {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []}
    assert read_messages([USER, answered, USER], "messages") == [USER, answered, USER]


@pytest.mark.parametrize(("row", "message"), [
    ({"prompt": "a", "completion": None}, "Example 2 (line 2): completion must be a string, not null: put quotation marks"),
    ({"completion": "b"}, "Example 2 (line 2): prompt is missing; each row needs prompt and completion"),
    ({"prompt": "a", "completion": "b", "x": 1, "y": 2}, "Example 2 (line 2): unexpected key(s) 'x', 'y'; known here: completion, prompt."),
    ({}, "Example 2 (line 2) has no keys at all."),
    ({"messages": []}, "Example 2 (line 2): messages must be a list of at least one message, not an empty one."),
    ({"messages": {}}, "Example 2 (line 2): messages must be a list of at least one message, not a dictionary."),
    ({"messages": [USER, "hello"]}, "Example 2 (line 2), message 2 must be a dictionary, not a string."),
    ({"messages": [USER, {"role": "bot", "content": "x"}]}, "message 2: role must be one of system, developer, user, assistant"),
    ({"messages": [USER, {**ANSWER, "weight": 2}]}, "message 2: weight belongs to assistant messages and is 0 or 1, not 2 on assistant."),
    ({"messages": [USER, {**ANSWER, "weight": True}]}, "message 2: weight belongs to assistant messages and is 0 or 1, not True"),
    ({"messages": [{**USER, "weight": 1}, ANSWER]}, "message 1: weight belongs to assistant messages and is 0 or 1, not 1 on user."),
    ({"messages": [USER, {**ANSWER, "weight": 0}]}, "messages hold no assistant message to learn from (with a weight other than 0)."),
    ({"messages": [USER, {"role": "assistant", "content": ""}]}, "message 2: content is empty"),
    ({"messages": [USER, {"role": "assistant"}]}, "message 2: content must be a string, not null."),
    ({"messages": [{"role": "user", "content": 7}, ANSWER]}, "message 1: content must be a string, not a number."),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ANSWER]}, "message 1: content parts must be of type text"),
    ({"messages": [{**USER, "colour": "red"}, ANSWER]}, "message 1: unexpected key(s) 'colour'"),
    ({"messages": [USER, ANSWER], "tools": {}}, "Example 2 (line 2): tools must be a list of dictionaries, not a dictionary."),
    ({"messages": [USER, ANSWER], "tools": ["f"]}, "tools must be a list of dictionaries, not an array of something else."),
    ({"messages": [USER, {**ANSWER, "tool_calls": "f"}]}, "message 2: tool_calls must be a list of dictionaries, not a string."),
    ({"input": "x"}, "Example 2 (line 2): input must be a dictionary with messages, not a string."),
    ({"input": {"messages": [USER]}, "preferred_output": [ANSWER]}, "Example 2 (line 2): non_preferred_output is missing."),
    ({"input": {"messages": [USER]}, "preferred_output": [USER], "non_preferred_output": [ANSWER]},
     "preferred_output must hold assistant messages alone."),
])
def test_what_is_wrong_is_told_with_its_place(read, row, message):
    with pytest.raises(InvalidTrainingFile) as refusal:
        read({"prompt": "a", "completion": "b"}, row)
    assert message in str(refusal.value)


def test_a_file_has_one_form_and_it_is_the_methods(read):
    chat = {"messages": [USER, ANSWER]}
    with pytest.raises(InvalidTrainingFile, match=r"Example 2 \(line 2\) is in the fine-tune-chat format, the examples before it in the "
                                                  "fine-tune-completion format"):
        read({"prompt": "a", "completion": "b"}, chat)
    with pytest.raises(InvalidTrainingFile, match="Training file is in the fine-tune-chat format, but the method dpo needs"):
        read(chat, method="dpo")
    preference = {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]}
    with pytest.raises(InvalidTrainingFile, match="Validation file is in the fine-tune-preference format, but the method supervised"):
        read(preference, what="Validation file")


def test_too_few_examples_are_counted_not_lines(read):
    with pytest.raises(InvalidTrainingFile, match=r"has 2 example\(s\), but must have at least 3 examples") as refusal:
        read({"prompt": "a", "completion": "b"}, "", {"prompt": "a", "completion": "b"}, minimum=3)
    assert refusal.value.code == "invalid_n_examples"


def test_a_file_is_read_line_by_line_and_closed(path):
    path.write_text('{"a": 1}\nbroken\n')
    lines = json_lines(path)
    assert next(lines) == (1, {"a": 1})
    with pytest.raises(InvalidTrainingFile, match="Line 2 is not valid JSON at column 1"):
        next(lines)
    with pytest.raises(InvalidTrainingFile, match="Line 2"):
        check_jsonl(path)
