"""The preparation tool and the local API agree: what the API refuses is an error here, and what is prepared is accepted there."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import FormatError
from helpers.preparation import prepare, read
from helpers.preparation.writing import write
from local_api.training_files import InvalidTrainingFile, check_jsonl, read_examples

ROLE = st.sampled_from(["system", "user", "assistant", "tool", "developer", "function", "bot", 7, None])
CONTENT = st.sampled_from(["text", "", None, 3, [{"type": "text", "text": "part"}], [{"type": "image"}], ["x"], []])
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": ROLE, "content": CONTENT},
                          optional={"weight": st.sampled_from([0, 1, 2, None, True, 1.0]), "name": st.just("Ada"),
                                    "tool_calls": st.sampled_from([[], [{"id": "1"}]]), "time": st.just(5)}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": st.just("fine")}),
    st.sampled_from(["text", None, 3, [], {}, {"content": "x"}]))
MESSAGES = st.one_of(st.lists(MESSAGE, max_size=3), st.sampled_from([None, "x", {}]))
ANSWER = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["assistant", "assistant", "user"]), "content": CONTENT}), max_size=2)
TEXT = st.sampled_from(["text", " ", "", None, 5, ["a"], True, "\x07"])
ROW = st.one_of(
    st.fixed_dictionaries({"messages": MESSAGES}, optional={"tools": st.just([]), "id": st.just(1)}),
    st.fixed_dictionaries({}, optional={"prompt": TEXT, "completion": TEXT, "id": st.just(1), "input": st.just("x")}),
    st.fixed_dictionaries({"input": st.one_of(st.fixed_dictionaries({"messages": MESSAGES}), st.just("x"))}, optional={
        "preferred_output": ANSWER, "non_preferred_output": ANSWER, "preferred_completion": ANSWER,
        "non_preferred_completion": ANSWER, "rank": st.just(1)}),
    st.sampled_from([[], "x", 3, None, {}]))
FINE = {"completion": {"prompt": "a question", "completion": "an answer"},
        "chat": {"messages": [{"role": "user", "content": "a question"}, {"role": "assistant", "content": "an answer"}]},
        "preference": {"input": {"messages": [{"role": "user", "content": "a question"}]},
                       "preferred_output": [{"role": "assistant", "content": "good"}],
                       "non_preferred_output": [{"role": "assistant", "content": "bad"}]}}


def refusal(path, method):
    """What the local API says to a file, or None if it takes it."""
    try:
        check_jsonl(path)
        read_examples(path, method=method, minimum=10)
    except InvalidTrainingFile as error:
        return str(error)
    return None


def errors(path):
    """What the tool says to it that is an error: the names of findings, or of a file that cannot be read at all."""
    try:
        outcome = prepare(read(path), agree=None)
    except FormatError as error:
        return [str(error)]
    return [finding.kind for finding in outcome.findings if finding.severity == "error"]


def others(kind, number):
    """Rows of one kind with nothing wrong, all different."""
    return [json.loads(json.dumps(FINE[kind]).replace("a question", f"{'abcdefghijklmn'[n] * 7} and {n}")) for n in range(number)]


@settings(max_examples=300)
@given(row=ROW, kind=st.sampled_from(list(FINE)), number=st.sampled_from([8, 9, 10, 12]))
def test_what_the_local_api_refuses_the_tool_calls_an_error(tmp_path_factory, row, kind, number):
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*others(kind, number), row]), encoding="utf-8")
    said = refusal(path, "dpo" if kind == "preference" else "supervised")
    assert said is None or errors(path), said


@settings(max_examples=150)
@given(strange=st.lists(ROW, max_size=3), kind=st.sampled_from(list(FINE)))
def test_what_the_tool_has_prepared_the_local_api_takes(tmp_path_factory, strange, kind):
    folder = tmp_path_factory.mktemp("rows")
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*others(kind, 14), *strange]), encoding="utf-8")
    table = read(path)
    assert prepare(table).errors == []
    write(table, folder / "b.jsonl")
    assert refusal(folder / "b.jsonl", "dpo" if table.kind == "preference" else "supervised") is None


GOOD = "".join(json.dumps(row) + "\n" for row in others("completion", 12)).encode()


@pytest.mark.parametrize("content", [
    b"", b"\n\n", b"hello\n", json.dumps(others("completion", 12)).encode(), GOOD + b"[]\n", GOOD + b'{"prompt": "a"}\n',
    GOOD + b'{"prompt": "a", "completion": NaN}\n', GOOD + b'{"prompt": "a\x00", "completion": "b"}\n',
    GOOD + b'{"prompt": "\\ud800", "completion": "b"}\n', GOOD + b"[" * 100_000 + b"\n", GOOD[:500] + b"\n" + GOOD,
    GOOD.decode().replace("answer", "Größe").encode("cp1252"), GOOD.decode().encode("utf-16"), GOOD.replace(b"\n", b"\r"),
    GOOD + b'{"prompt": "a", "completion": "' + b"x" * 9_000_000 + b'"}\n', GOOD + b"\x00\x00\n",
    GOOD.replace(b'"prompt"', b'"Prompt"'), GOOD.replace(b'"}', b'", "id": 1}'), GOOD + json.dumps(FINE["chat"]).encode(),
], ids=["empty", "blank", "no JSON", "an array", "a list among rows", "a missing field", "NaN", "a NUL byte",
        "half a surrogate pair", "deep", "cut", "cp1252", "UTF-16", "old line ends", "9 MB", "NULs", "capitals", "extra fields",
        "another kind"])
def test_a_nasty_file_is_an_error_in_both(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert refusal(path, "supervised")
    assert errors(path)


@pytest.mark.parametrize("content", [GOOD, b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n"), GOOD.replace(b"\n", b"\n\n"), GOOD[:-1]],
                         ids=["plain", "byte order mark", "CRLF", "blank lines", "no last line feed"])
def test_a_file_that_is_right_is_an_error_in_neither(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert refusal(path, "supervised") is None
    assert errors(path) == []
