"""What is done for many rows together is what would be done for each alone."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.preparation.checks.labels import _with_several
from helpers.preparation.checks.text import RUN, _with_runs
from helpers.preparation.endings import Style, free_marker, is_misplaced
from helpers.preparation.json_lines import CHUNK, JsonLines
from helpers.preparation.keys import first_of

BITS = ["a", "B", " ", "\n", "###", "->", " ->", "\n\n###\n\n", "\n\n", "= ", "==", "Please: ", "é", "1", "٣", "(", "- "]
TEXTS = st.lists(st.lists(st.sampled_from(BITS), max_size=8).map("".join), min_size=1, max_size=8)
MARKERS = ("", "\n", " ->", "###", "\n\n###\n\n", "\n\n===\n\n")


@settings(max_examples=60)
@given(TEXTS, st.sampled_from(MARKERS), st.sampled_from(["", "Please: "]))
def test_the_bodies_of_a_column_are_those_of_its_texts(texts, marker, beginning):
    style = Style(marker, marker, beginning, beginning)
    assert list(style.bodies(texts, "prompt")) == list(map(style.prompt_body, texts))
    assert list(style.bodies(texts, "completion")) == list(map(style.completion_body, texts))


@settings(max_examples=60)
@given(TEXTS, st.sampled_from(["", " "]))
def test_a_free_marker_is_found_nowhere_but_where_it_is_put(texts, lead):
    bodies = [text.strip() for text in texts]
    candidates = [*MARKERS[1:], "\n\n====\n\n", "never"]
    chosen = free_marker(lambda: iter(bodies), candidates, lead)
    free = [not any(is_misplaced(f"{lead}{body}{marker}", marker) for body in bodies) for marker in candidates]
    assert chosen == candidates[free.index(True)]


def test_a_bad_line_among_many_is_told_by_its_number_and_the_others_stay():
    lines = [b'{"prompt": "a", "completion": "%d"}\n' % number for number in range(3 * CHUNK)]
    lines[CHUNK + 6], lines[CHUNK + 7], lines[CHUNK + 8] = b"{\n", b"\n", b'{"prompt": "a", "completion": 1}\n'
    rows = JsonLines().read(lines)
    assert [misfit.line for misfit in rows.misfits] == [CHUNK + 7] and rows.others == [(CHUNK + 9, {"prompt": "a", "completion": 1})]
    assert list(rows.lines) == [number for number in range(1, 3 * CHUNK + 1) if number not in range(CHUNK + 7, CHUNK + 10)]
    assert [int(text) for text in rows.completions] == [number - 1 for number in rows.lines]


@settings(max_examples=60)
@given(st.lists(st.text("0123456789 .-/()a٣é", max_size=40), min_size=1, max_size=6))
def test_runs_of_digits_are_found_in_many_texts_as_in_each(texts):
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    assert _with_runs(texts, "\n".join(texts), starts) == [place for place, text in enumerate(texts) if re.search(RUN, text)]


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1))
def test_questions_with_several_answers_and_first_rows_are_found(pairs):
    questions, answers = np.array(pairs, dtype=np.int64).T
    assert _with_several(questions, answers).tolist() == [len({b for a, b in pairs if a == one}) > 1 for one, _ in pairs]
    assert first_of(questions).tolist() == [one not in questions[:place] for place, one in enumerate(questions)]
