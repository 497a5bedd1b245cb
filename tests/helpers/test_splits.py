"""Seeded, stratified, leak-free."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import FormatError
from helpers.splits import split


def frame_of(classes, groups=None):
    frame = pd.DataFrame({"number": range(len(classes)), "team": classes}, index=[f"r{n}" for n in range(len(classes))])
    return frame if groups is None else frame.assign(source=groups)


UNEVEN = frame_of(["billing"] * 60 + ["praise"] * 10 + ["delivery"] * 30)


def test_classes_keep_their_shares_and_the_sizes_are_exact():
    train, test = split(UNEVEN, test=0.2, stratify="team")
    assert test["team"].value_counts().to_dict() == {"billing": 12, "delivery": 6, "praise": 2}
    assert len(train) == 80 and sorted([*train["number"], *test["number"]]) == list(range(100))


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    first, again, other = (split(UNEVEN, test=10, stratify="team", seed=seed)[1]["number"].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_rows_are_shuffled_and_indices_new():
    train, test = split(UNEVEN, test=30)
    assert train["number"].tolist() != sorted(train["number"]) and train.head(20)["team"].nunique() > 1
    assert train.index.tolist() == list(range(70)) and test.index.tolist() == list(range(30))


def test_a_class_of_one_example_stays_in_the_training_table():
    train, test = split(frame_of(["a"] * 20 + ["once"]), test=4, stratify="team")
    assert "once" in set(train["team"]) and len(test) == 4


@given(groups=st.lists(st.integers(0, 30), min_size=20, max_size=200), seed=st.integers(0, 5), data=st.data())
def test_a_group_is_never_on_both_sides_and_no_row_is_lost(groups, seed, data):
    classes = data.draw(st.lists(st.sampled_from("abc"), min_size=len(groups), max_size=len(groups)))
    frame = frame_of(classes, groups)
    try:
        train, test = split(frame, test=0.3, stratify="team", group="source", seed=seed)
    except FormatError:
        assert max(pd.Series(groups).value_counts()) > 0.3 * len(groups)
        return
    assert not set(train["source"]) & set(test["source"])
    assert sorted([*train["number"], *test["number"]]) == list(range(len(frame)))


def test_groups_of_ordinary_size_come_near_the_size_asked_for_and_the_classes_shares():
    frame = frame_of(["a", "a", "b", "a"] * 100, [n // 5 for n in range(400)])
    _, test = split(frame, test=0.25, stratify="team", group="source")
    assert abs(len(test) - 100) <= 5 and abs((test["team"] == "b").mean() - 0.25) < 0.03


def test_groups_of_several_rows_are_not_drawn_before_those_that_stand_alone():
    frame = frame_of(["a"] * 200, [f"pair {n // 2}" if n < 80 else f"single {n}" for n in range(200)])
    parts = [split(frame, test=0.2, group="source", seed=seed)[1] for seed in range(20)]
    assert {len(part) for part in parts} == {40}
    share = sum(part["source"].str.startswith("pair").sum() for part in parts) / sum(map(len, parts))
    assert 0.3 < share < 0.5  # 0.4 of all rows stand in pairs


@pytest.mark.parametrize("size", [0, 100, 0.0, 1.0, 1.5, -3, 0.001])
def test_a_size_that_leaves_one_side_empty_is_refused(size):
    with pytest.raises(FormatError, match="leaves one side of 100 rows empty"):
        split(UNEVEN, test=size)


def test_a_single_group_cannot_be_split():
    with pytest.raises(FormatError, match="without dividing a group of 'source': it has only 1"):
        split(frame_of(["a"] * 10, ["x"] * 10), test=0.5, group="source")


def test_a_missing_value_and_a_missing_column_are_named():
    with pytest.raises(FormatError, match="row 2: no value in 'source'"):
        split(frame_of(["a"] * 3, ["x", None, "y"]), test=1, group="source")
    with pytest.raises(FormatError, match="no column 'kind': the table has 'number', 'team'"):
        split(UNEVEN, test=0.2, stratify="kind")
