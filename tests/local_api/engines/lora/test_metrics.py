"""Losses and accuracies as the guide counts them."""

import pytest

from local_api.engines.lora.metrics import Tally, accuracies


def test_the_guides_worked_example_gives_its_numbers() -> None:
    tokens, sequences = accuracies([[1, 1], [0, 5], [4, 2]], [[1, 2], [0, 5], [4, 2]])
    assert (round(tokens, 2), round(sequences, 2)) == (0.83, 0.67)


def test_a_sequence_counts_only_when_every_token_is_right() -> None:
    assert accuracies([[1, 2, 3]], [[1, 2, 4]]) == (2 / 3, 0.0)


def test_tallies_of_parts_add_up_to_the_tally_of_the_whole() -> None:
    predictions, targets = [[1], [2, 3], [4, 4, 4]], [[1], [2, 2], [4, 4, 4]]
    parts = Tally.of(predictions[:1], targets[:1], loss=1.0, weight=1.0) + Tally.of(predictions[1:], targets[1:], loss=3.0, weight=4.0)
    assert parts == Tally.of(predictions, targets, loss=4.0, weight=5.0)
    assert parts.mean_loss == pytest.approx(0.8)


def test_nothing_measured_is_zero_and_no_division_by_it() -> None:
    assert (Tally().mean_loss, Tally().token_accuracy, Tally().sequence_accuracy) == (0.0, 0.0, 0.0)


def test_lists_of_different_lengths_are_an_error_and_not_cut() -> None:
    with pytest.raises(ValueError, match="zip"):
        accuracies([[1, 2]], [[1]])
