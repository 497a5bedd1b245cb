"""Request bodies: read strictly, refused by the name of the field, never with another exception."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local_api.errors import ApiError, InvalidRequest, UnsupportedParameter
from local_api.wire import (
    CHAT,
    COMPLETIONS,
    DONE_ANYWAY,
    EMBEDDINGS,
    FINE_TUNES,
    FINE_TUNING_JOBS,
    INPUT_TOKENS,
    RESPONSES,
    in_range,
    read_json,
)

BODIES = [COMPLETIONS, CHAT, EMBEDDINGS, FINE_TUNING_JOBS, FINE_TUNES, RESPONSES, INPUT_TOKENS]
HELLO = [{"role": "user", "content": "Hello"}]
JOB = {"model": "m", "training_file": "f"}
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8)


def read(body, **fields):
    return body.read(json.dumps(fields).encode())


@given(raw=st.binary(max_size=40))
@example(raw=b"")
@example(raw=b"null")
@example(raw=b'{"model": "\\ud800"}')
def test_whatever_bytes_come_in_a_dictionary_or_a_refusal_comes_out(raw):
    try:
        assert isinstance(COMPLETIONS.read(raw), dict)
    except ApiError as error:
        assert error.status == 400 and error.message


@given(data=st.data())
def test_whatever_a_field_holds_it_is_read_or_refused_by_its_name(data):
    body = data.draw(st.sampled_from(BODIES))
    name = data.draw(st.sampled_from(sorted(body.known)))
    valid = {COMPLETIONS: {"model": "m", "prompt": "p"}, CHAT: {"model": "m", "messages": HELLO}, EMBEDDINGS: {"model": "m", "input": "i"},
             FINE_TUNING_JOBS: JOB, FINE_TUNES: {"training_file": "f"}, RESPONSES: {"model": "m", "input": "i"},
             INPUT_TOKENS: {"model": "m", "input": "i"}}[body]
    value = data.draw(JSON)
    try:
        found = read(body, **{**valid, name: value})
    except InvalidRequest as error:
        assert error.param is not None and error.param.split(".")[0].split("[")[0] == name
    else:
        assert (name in found) == (value is not None and not body.is_done_anyway(name, value))
        assert value is None or name in body.honoured or body.is_done_anyway(name, value), "what is not honoured is never taken in silence"


@pytest.mark.parametrize("depth", [990, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_beyond_reason_is_refused(depth, opening, closing):
    body = '{"model": "m", "messages": [{"role": "user", "content": ' + opening * depth + "1" + closing * depth + "}]}"
    with pytest.raises(InvalidRequest):
        CHAT.read(body.encode())


def test_what_json_reads_more_deeply_than_we_can_walk_is_refused(monkeypatch):
    """From Python 3.12 on, the C parser goes deeper than Python's own recursion may."""
    deep = {}
    for _ in range(5_000):
        deep = {"a": deep}
    monkeypatch.setattr("local_api.wire.read_json", lambda raw: {"model": "m", "messages": [deep]})
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        CHAT.read(b"")


def test_null_means_not_given():
    assert read(COMPLETIONS, model="m", prompt="p", n=None, stop=None, suffix=None) == {"model": "m", "prompt": "p"}
    with pytest.raises(InvalidRequest, match="Missing required parameter: 'model'"):
        read(COMPLETIONS, model=None, prompt="p")


def test_fields_without_effect_are_taken():
    assert read(CHAT, model="m", messages=HELLO, user="u", safety_identifier="s", prompt_cache_key="k")["user"] == "u"


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in DONE_ANYWAY.items() for value in values])
def test_a_value_that_asks_for_what_is_done_anyway_is_taken_and_left_out(field, value):
    body, fields = (CHAT, {"model": "m", "messages": HELLO}) if field in CHAT.known else (RESPONSES, {"model": "m", "input": "i"})
    assert read(body, **fields, **{field: value}) == fields


@pytest.mark.parametrize(("field", "value"), [("store", True), ("store", 0), ("tools", [{"type": "web_search"}]), ("service_tier", "flex"),
                                              ("background", True), ("truncation", "auto"), ("previous_response_id", "resp_1")])
def test_any_other_value_of_such_a_field_is_refused(field, value):
    with pytest.raises(UnsupportedParameter) as refusal:
        read(RESPONSES, model="m", input="i", **{field: value})
    assert refusal.value.param == field


@pytest.mark.parametrize("body", BODIES)
def test_every_field_of_the_official_client_is_honoured_or_refused_by_its_name(body):
    for field in sorted(body.known - body.honoured):
        with pytest.raises(UnsupportedParameter) as refusal:
            read(body, **{field: {"any": "thing"}})
        assert refusal.value.param == field


@pytest.mark.parametrize("body", BODIES)
def test_a_body_describes_itself_without_references(body):
    described = body.openapi()["requestBody"]["content"]["application/json"]["schema"]
    assert set(described["properties"]) <= body.honoured and "$ref" not in json.dumps(described)
    assert set(described["required"]) <= set(described["properties"])


@pytest.mark.parametrize(("body", "fields", "kind", "param"), [
    (COMPLETIONS, {"model": "m", "prompt": "p", "top_k": 5}, InvalidRequest, "top_k"),
    (COMPLETIONS, {"model": "m", "prompt": "p", "suffix": "s"}, UnsupportedParameter, "suffix"),
    (COMPLETIONS, {"model": "m", "prompt": "p", "temperature": "1"}, InvalidRequest, "temperature"),
    (COMPLETIONS, {"model": "m", "prompt": "p", "n": 1.5}, InvalidRequest, "n"),
    (COMPLETIONS, {"model": "m", "prompt": "p", "n": True}, InvalidRequest, "n"),
    (COMPLETIONS, {"model": "m", "prompt": "p", "echo": "yes"}, InvalidRequest, "echo"),
    (COMPLETIONS, {"model": "m", "prompt": "p", "stream_options": {"include": True}}, InvalidRequest, "stream_options.include"),
    (COMPLETIONS, {"model": 5, "prompt": "p"}, InvalidRequest, "model"),
    (CHAT, {"model": "m"}, InvalidRequest, "messages"),
    (CHAT, {"model": "m", "messages": ["hello"]}, InvalidRequest, "messages.0"),
    (CHAT, {"model": "m", "messages": HELLO, "store": True}, UnsupportedParameter, "store"),
    (EMBEDDINGS, {"model": "m", "input": 5}, InvalidRequest, "input"),
    (EMBEDDINGS, {"model": "m", "input": "x", "encoding_format": "hex"}, InvalidRequest, "encoding_format"),
    (FINE_TUNING_JOBS, {"model": "m"}, InvalidRequest, "training_file"),
    (FINE_TUNING_JOBS, {**JOB, "method": {"type": "magic"}}, InvalidRequest, "method.type"),
    (FINE_TUNING_JOBS, {**JOB, "method": {"supervised": {}}}, InvalidRequest, "method.type"),
    (FINE_TUNING_JOBS, {**JOB, "method": {"type": "supervised", "supervised": {"hyperparameters": {"epochs": 1}}}}, InvalidRequest,
     "method.supervised.hyperparameters.epochs"),
    (FINE_TUNING_JOBS, {**JOB, "hyperparameters": {"n_epochs": "2"}}, InvalidRequest, "hyperparameters.n_epochs"),
    (FINE_TUNING_JOBS, {**JOB, "metadata": {"a": 1}}, InvalidRequest, "metadata.a"),
    (FINE_TUNING_JOBS, {**JOB, "integrations": []}, UnsupportedParameter, "integrations"),
    (FINE_TUNING_JOBS, {**JOB, "classification": {"classes": 3}}, InvalidRequest, "classification.classes"),
    (FINE_TUNES, {}, InvalidRequest, "training_file"),
    (FINE_TUNES, {"training_file": "f", "seed": 1}, InvalidRequest, "seed"),
    (FINE_TUNES, {"training_file": "f", "classification_betas": [1, "2"]}, InvalidRequest, "classification_betas.1"),
])
def test_a_wrong_field_is_refused_by_its_name(body, fields, kind, param):
    with pytest.raises(kind) as refusal:
        read(body, **fields)
    assert refusal.value.param == param and type(refusal.value) is kind
    assert param.rsplit(".", 1)[-1] in refusal.value.message


def test_a_long_value_is_not_told_back_whole():
    with pytest.raises(InvalidRequest) as refusal:
        read(COMPLETIONS, model="m", prompt="p", temperature="x" * 10_000)
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize("prompt", ["text", ["one", "two"], [1, 2], [[1], [2, 3]], ""])
def test_prompts_keep_their_form(prompt):
    assert read(COMPLETIONS, model="m", prompt=prompt)["prompt"] == prompt


def test_messages_are_plain_lists_that_can_be_read_twice():
    messages = read(CHAT, model="m", messages=HELLO)["messages"]
    assert list(messages) == list(messages) == HELLO


@pytest.mark.parametrize(("value", "limits"), [(None, {}), (0, {}), (2, {}), (1.5, {}), (2, {"above": True}), (0.001, {"above": True})])
def test_what_lies_within_its_limits_passes(value, limits):
    in_range(value, "f", 0, 2, **limits)


@pytest.mark.parametrize(("value", "high", "above", "message"), [
    (-1, 2, False, "Invalid value for 'f': must be at least 0 and at most 2, not -1."),
    (2.5, 2, False, "Invalid value for 'f': must be at least 0 and at most 2, not 2.5."),
    (0, 2, True, "Invalid value for 'f': must be more than 0 and at most 2, not 0."),
    (math.nan, 2, False, "Invalid value for 'f': must be at least 0 and at most 2, not nan."),
    (math.nan, math.inf, True, "Invalid value for 'f': must be more than 0, not nan."),
    (math.inf, math.inf, True, "Invalid value for 'f': must be more than 0, not inf."),
    (10**4000, 2, False, f"Invalid value for 'f': must be at least 0 and at most 2, not 1{'0' * 39}."),
])
def test_what_lies_outside_is_refused_with_the_limits(value, high, above, message):
    with pytest.raises(InvalidRequest) as refusal:
        in_range(value, "f", 0, high, above=above)
    assert refusal.value.message == message and refusal.value.param == "f"


@pytest.mark.parametrize("text", ["123456789012345678901", "-9223372036854775809", "18446744073709551616", "NaN", "1e400", '"caf\\u00e9"', '{"a": 1, "a": 2}'])
def test_values_are_read_as_python_reads_them(text):
    """Integers of any length stay integers."""
    found, expected = read_json(f'{{"seed": {text}}}'.encode())["seed"], json.loads(text)
    assert repr(found) == repr(expected)
