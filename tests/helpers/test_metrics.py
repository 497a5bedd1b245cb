"""Scores, checked by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from helpers.metrics import (
    bootstrap_interval,
    calibration_table,
    class_scores,
    classification_scores,
    expected_calibration_error,
)

TRUTH = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["a", "a", "b", "b", "x", "a"]


def test_accuracy_and_macro_f1_of_a_small_example():
    scores = classification_scores(TRUTH, PREDICTED)
    # f1: a 2/3 (precision 2/3, recall 2/3), b 1/2 (1/2, 1/2), c 0; "x" is no class of the truth
    assert scores["accuracy"] == pytest.approx(3 / 6)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3) and scores["examples"] == 6


def test_scores_of_each_class_come_commonest_first():
    table = class_scores(TRUTH, PREDICTED)
    assert table.index.tolist() == ["a", "b", "c"] and table["support"].tolist() == [3, 2, 1]
    assert table.loc["a", ["precision", "recall"]].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert table.loc["c"].tolist() == [0, 0, 0, 1]


def test_samples_of_different_lengths_are_refused():
    for function in (classification_scores, class_scores, calibration_table, bootstrap_interval):
        with pytest.raises(ValueError, match="of one length and not empty, met 2, 1"):
            function([1, 0], [1])
    with pytest.raises(ValueError, match="not empty, met 0"):
        bootstrap_interval([])


def test_the_interval_of_an_accuracy_is_about_that_of_the_normal_approximation():
    correct = np.arange(200) % 5 != 0  # 80 %
    low, high = bootstrap_interval(correct)
    wide = 1.96 * math.sqrt(0.8 * 0.2 / 200)
    assert low == pytest.approx(0.8 - wide, abs=0.015) and high == pytest.approx(0.8 + wide, abs=0.015)
    assert (low, high) == bootstrap_interval(correct) != bootstrap_interval(correct, seed=1)


def test_truth_and_predictions_are_resampled_together():
    truth = np.array(["x", "y"] * 50)
    assert bootstrap_interval(truth, truth, score=accuracy_score) == (1, 1)
    low, high = bootstrap_interval(truth, np.full(100, "x"), score=accuracy_score)
    assert low < 0.5 < high


def test_the_calibration_table_and_its_error_by_hand():
    truth, scores = [0, 1, 1, 1, 0, 1], [0.05, 0.15, 0.9, 0.95, 1.0, 0.52]
    table = calibration_table(truth, scores, bins=10)
    assert table["examples"].tolist() == [1, 1, 1, 3]
    assert table["low"].tolist() == pytest.approx([0, 0.1, 0.5, 0.9]) and table["high"].iloc[-1] == 1
    assert table["share_true"].tolist() == pytest.approx([0, 1, 1, 2 / 3])
    assert table["mean_score"].iloc[-1] == pytest.approx(0.95)
    error = (1 * 0.05 + 1 * 0.85 + 1 * 0.48 + 3 * (0.95 - 2 / 3)) / 6
    assert expected_calibration_error(truth, scores, bins=10) == pytest.approx(error)


def test_logprobs_are_not_taken_for_probabilities():
    with pytest.raises(ValueError, match="take the exponential of logprobs"):
        calibration_table([1], [-0.1])
