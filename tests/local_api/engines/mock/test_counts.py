"""N-gram counts: by hand, as probabilities, and taken back."""

from itertools import permutations

import pytest

from local_api.engines.mock.counts import START, NGramCounts


def p(counts: NGramCounts, token: int, before: int = START, last: int = START) -> float:
    return counts.smoothed(counts.rows(before, last), token)


def test_without_counts_every_token_is_equally_likely() -> None:
    assert p(NGramCounts(50), 3) == pytest.approx(1 / 50)


def test_the_orders_are_interpolated_as_the_formula_says() -> None:
    counts = NGramCounts(10)
    counts.add([5], 1.0)
    first = (1 + 1 / 10) / 2
    second = (1 + first) / 2
    assert p(counts, 5) == pytest.approx((1 + second) / 2)
    assert p(counts, 6) == pytest.approx(1 / 10 / 8)


def test_probabilities_sum_to_one_in_every_context() -> None:
    counts = NGramCounts(20)
    counts.add([1, 2, 3, 1, 2, 4], 0.75)
    counts.add([1, 2, 5], 1.5)
    counts.add([1, 2, 3], -0.25)
    for before, last in [(START, START), (START, 1), (1, 2), (9, 9), (2, 3)]:
        assert sum(p(counts, token, before, last) for token in range(20)) == pytest.approx(1)


def test_counts_taken_back_below_zero_stand_for_zero_and_the_best_token_moves_on() -> None:
    counts = NGramCounts(20)
    counts.add([7], 1.0)
    counts.add([8], 0.5)
    counts.add([7], -2.0)
    row = counts.rows(START, START)[0]
    assert (row.best, row.total) == (8, 0.5)
    assert p(counts, 8) > p(counts, 9) == p(counts, 7)


def test_the_order_of_counting_changes_nothing() -> None:
    texts = [([1, 2, 3], 0.5), ([1, 2, 4], -1.25), ([1, 2, 4], 2.0)]
    seen = set()
    for order in permutations(texts):
        counts = NGramCounts(20)
        for tokens, weight in order:
            counts.add(tokens, weight)
        rows = counts.rows(1, 2)
        seen.add((*(p(counts, token, 1, 2) for token in range(6)), *(row.best for row in rows)))
    assert len(seen) == 1
