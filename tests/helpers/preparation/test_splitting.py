"""The split: seeded, with the classes' shares, and nothing alike on both sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import FormatError
from helpers.preparation import Options, prepare, read
from helpers.preparation.splitting import split

from .made import pairs, table_of


def split_of(rows, groups=None, **options):
    """The training and the validation rows."""
    table = table_of(rows)
    if groups is not None:
        table.groups = np.asarray(groups, dtype=object)
    look = prepare(table, Options(**options), agree=None).look
    return [[rows[place] for place in places.tolist()] for places in split(look, seed=1)]


@settings(max_examples=40)
@given(choice=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 2), st.integers(0, 9)), min_size=20, max_size=60))
def test_nothing_alike_stands_on_both_sides_and_no_row_is_lost(choice):
    rows = [{"prompt": f"please tell me all about the big {'abcdefghijklmnopqrstuvwxyz'[word] * 4} number {digit}",
             "completion": ("yes", "no", "maybe")[label]} for word, label, digit in choice]
    try:
        train, valid = split_of(rows)
    except FormatError:
        assert len({word for word, _, _ in choice}) < 20  # everything hangs together
        return
    assert sorted(map(str, train + valid)) == sorted(map(str, rows))
    kernel = {row["prompt"].rstrip("0123456789") for row in train}
    assert not kernel & {row["prompt"].rstrip("0123456789") for row in valid}


def test_classes_keep_their_shares_and_the_same_seed_gives_the_same_rows():
    rows = [row | {"completion": " yes" if n % 5 else " no"} for n, row in enumerate(pairs(100))]
    train, valid = split_of(rows)
    assert len(valid) == 20 and sum(row["completion"] == " no" for row in valid) == 4
    assert split_of(rows) == [train, valid]


def test_rows_of_one_source_stay_together():
    train, valid = split_of(pairs(40), groups=[n // 4 for n in range(40)])
    sources = [{pairs(40).index(row) // 4 for row in side} for side in (train, valid)]
    assert not sources[0] & sources[1] and 4 <= len(valid) <= 12


def test_rows_that_all_come_from_one_source_cannot_be_split():
    with pytest.raises(FormatError, match="without dividing a group"):
        split_of(pairs(20), groups=["all"] * 20)


def test_groups_come_from_a_column(file_of):
    content = "prompt,completion,talk\n" + "".join(f"{'abcdefghijklmnop'[n] * 5} please?,a{n},{n // 4}\n" for n in range(16))
    table = read(file_of(content, "a.csv"), group="talk")
    train, valid = split(prepare(table).look)
    assert len(valid) == 4 and not set(table.groups[train]) & set(table.groups[valid])
