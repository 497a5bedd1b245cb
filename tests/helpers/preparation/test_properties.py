"""What holds for any table: no row is lost in silence, preparing twice changes nothing, fixes bring up nothing new."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.jsonl import read_jsonl, write_jsonl
from helpers.preparation import Options, Pairs, by_name, inspect, prepare, read
from helpers.preparation.table import Source
from helpers.preparation.writing import write

SMALL = Options(max_tokens=30)
BITS = ["a", "b", "C", "Yes", "no", " ", "\n", "###", "->", " ->", "\n\n###\n\n", "x END y", "\x07", "\r\n", "é", "The answer is ",
        "Please tell me now: ", ".", "word word word", "\n\n===\n\n", "1", "ok"]
TEXT = st.lists(st.sampled_from(BITS), max_size=5).map("".join)
VALUE = st.one_of(TEXT, TEXT, TEXT, st.sampled_from(["yes", "no", " yes", "YES"]), st.none(), st.integers(-2, 2), st.just(["a"]))
ENDS = {"prompt": (["", "Please tell me now: ", "SUBJECT: HELLO THERE "], ["", " ->", "\n\n###\n\n", "\n\nLabel:", "###"]),
        "completion": (["", " ", "The answer is "], [" END", "\n", "###", ""])}


@st.composite
def rows(draw):
    """Rows of odd values, among which some beginnings and markers are shared by all, as in tables that people make."""
    found = [{"prompt": draw(VALUE), "completion": draw(VALUE)} for _ in range(draw(st.integers(1, 12)))]
    for field, (beginnings, ends) in ENDS.items():
        before, after = draw(st.sampled_from(beginnings)), draw(st.sampled_from(ends))
        for row in found:
            if row[field] is not None and (before or after):
                row[field] = f"{before}{row[field]}{after}"
    return found


def table(content):
    return Pairs(Source(Path("made.jsonl"), "JSONL", as_it_stands=True), range(1, len(content) + 1),
                 [row["prompt"] for row in content], [row["completion"] for row in content])


@settings(max_examples=60)
@given(rows())
def test_every_row_is_left_or_reported_dropped_with_its_line(content):
    made = table(content)
    prepare(made, SMALL)
    assert sorted([*made.lines.tolist(), *(line for line, _ in made.dropped)]) == list(range(1, len(content) + 1))


@settings(max_examples=60)
@given(rows())
def test_preparing_twice_changes_nothing_more(content):
    once = table(content)
    prepare(once, SMALL)
    left = list(once.rows())
    if left:
        twice = table(left)
        assert prepare(twice, SMALL).applied == set()
        assert list(twice.rows()) == left and not twice.dropped


@settings(max_examples=40)
@given(rows())
def test_no_suggested_fix_brings_up_a_finding_of_another_kind(content):
    before = inspect(table(content), SMALL)
    for finding in before:
        if finding.fix and finding.fix.recommended:
            fixed = table(content)
            prepare(fixed, SMALL, agree=by_name([finding.kind]))
            after = {other.kind for other in inspect(table(list(fixed.rows())), SMALL)} if len(fixed) else set()
            assert after <= {other.kind for other in before}, finding.kind


@settings(max_examples=40)
@given(rows())
def test_looking_changes_nothing(content):
    made = table(content)
    inspect(made, SMALL)
    assert list(made.rows()) == content and not made.dropped


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(st.characters(exclude_categories=["Cs"])), lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@settings(max_examples=60)
@given(content=st.lists(st.fixed_dictionaries({"prompt": JSON, "completion": JSON}), min_size=1, max_size=6))
def test_reading_what_was_written_gives_the_same_rows(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    write_jsonl(content, path)
    made = read(path)
    assert list(made.rows()) == content
    write(made, path.with_name("b.jsonl"))
    # Text for text, as 1.0 and 1 are equal and True is 1.
    assert json.dumps(read_jsonl(path.with_name("b.jsonl")), sort_keys=True) == json.dumps(content, sort_keys=True)


@pytest.mark.parametrize("label", ["START", "STOP", "END", "###"])
def test_a_class_that_is_named_like_a_marker_is_a_class(label):
    content = [{"prompt": f"What about {'abcdefghijkl'[n] * 5}?", "completion": (label, "go")[n % 2]} for n in range(12)]
    made = table(content)
    prepare(made)
    assert len(made) == 12 and {row["completion"].strip() for row in made.rows()} == {label, "go"}
