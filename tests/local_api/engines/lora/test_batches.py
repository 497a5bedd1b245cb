"""Which examples train together, and as which tensors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_api.engines.lora.batches import collate, like_lengths, order, split
from local_api.engines.lora.examples import Encoded

pytestmark = pytest.mark.lora


def row(n_prompt: int, n_completion: int, first: int = 10) -> Encoded:
    n = n_prompt + n_completion
    return Encoded(list(range(first, first + n)), [0.0] * n_prompt + [1.0] * n_completion, [False] * n_prompt + [True] * n_completion, 1)


def test_batches_hold_examples_of_like_lengths_and_each_once() -> None:
    assert like_lengths([9, 1, 5, 2, 8], 2) == [[1, 3], [2, 4], [0]]


def test_the_order_of_batches_depends_on_seed_and_epoch_alone() -> None:
    assert order(50, seed=1, epoch=0) == order(50, seed=1, epoch=0)
    assert len({tuple(order(50, seed=seed, epoch=epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    assert sorted(order(50, seed=1, epoch=0)) == list(range(50))


@given(st.lists(st.integers(2, 60), min_size=1, max_size=40), st.integers(1, 200))
def test_parts_cover_all_rows_in_order_and_keep_to_the_limit_where_one_row_does(lengths: list[int], limit: int) -> None:
    parts = split(lengths, limit=limit)
    assert [index for part in parts for index in part] == list(range(len(lengths)))
    for part in parts:
        assert len(part) == 1 or max(lengths[index] for index in part) * len(part) <= limit


@given(st.lists(st.integers(2, 60), min_size=1, max_size=40), st.integers(1, 4))
def test_there_are_as_many_parts_as_asked_for_where_there_are_so_many_rows(lengths: list[int], least: int) -> None:
    parts = split(lengths, limit=10_000, least=least)
    assert [index for part in parts for index in part] == list(range(len(lengths)))
    assert len(parts) == min(least, len(lengths))


@given(st.lists(st.integers(2, 60), min_size=1, max_size=20), st.integers(1, 200))
def test_pairs_are_never_parted(halves: list[int], limit: int) -> None:
    lengths = [length for half in halves for length in (half, half + 1)]
    assert all(part.start % 2 == 0 and len(part) % 2 == 0 for part in split(lengths, 2, limit))


def test_a_part_asks_for_an_answer_just_before_each_token_with_loss() -> None:
    part = collate([row(3, 2, first=10), row(1, 1, first=50)], ("training", 0, 0))
    assert part.ids.tolist() == [[10, 11, 12, 13], [50, 0, 0, 0]]
    assert part.positions.tolist() == [2, 3, 4]
    assert part.targets.tolist() == [13, 14, 51]
    assert part.by_row([7, 8, 9]) == [[7, 8], [9]]


def test_a_part_has_a_multiple_of_four_tokens_across() -> None:
    assert [collate([row(3, tokens, first=10)], ("training", 0, 0)).ids.shape[1] for tokens in (1, 2, 3, 6, 7)] == [4, 4, 8, 8, 12]


def test_tokens_of_the_prompt_may_carry_loss_and_are_not_scored() -> None:
    encoded = Encoded([1, 2, 3], [0.0, 0.1, 1.0], [False, False, True], 1)
    part = collate([encoded], ("training", 0, 0))
    assert part.targets.tolist() == [2, 3]
    assert part.weights.tolist() == pytest.approx([0.1, 1.0])
    assert part.by_row([2, 3]) == [[3]]
