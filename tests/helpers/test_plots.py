"""What is drawn: data, labels, colours."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import plots

RESULTS = pd.DataFrame({
    "step": range(1, 31), "train_loss": np.linspace(2, 0.5, 30), "train_accuracy": np.linspace(0.2, 0.9, 30),
    "valid_loss": [value if step % 10 == 0 else np.nan for step, value in enumerate(np.linspace(2, 0.8, 30), 1)]})
TRUTH, SCORES = [0, 0, 1, 1, 0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.9, 0.6, 0.7]


def lines_of(ax):
    return {line.get_label(): line for line in ax.lines}


def test_the_training_curve_shows_every_step_their_trend_and_the_validation():
    ax = plots.training_curve(RESULTS, title="a run")
    raw, trend, validation = ax.lines
    assert raw.get_ydata().tolist() == RESULTS["train_loss"].tolist() and raw.get_alpha() < 0.5
    assert trend.get_label() == "training" and validation.get_xdata().tolist() == [10, 20, 30]
    assert ax.get_ylabel() == "loss (nats per token)" and ax.get_xlabel() == "step" and ax.get_title() == "a run"
    assert ax.get_ylim()[0] == 0
    beside = ax.figure.axes[1]
    assert beside.lines[0].get_ydata().tolist() == RESULTS["train_accuracy"].tolist() and "accuracy" in beside.get_ylabel()


def test_a_training_curve_on_axes_of_ours_draws_the_loss_there_and_nothing_else():
    figure, ax = plt.subplots()
    assert plots.training_curve(RESULTS.drop(columns="valid_loss"), ax=ax) is ax
    assert figure.axes == [ax] and len(ax.lines) == 2 and ax.get_legend() is None


def test_epochs_are_marked_where_the_table_knows_them():
    ax = plots.training_curve(RESULTS.assign(epoch=(RESULTS["step"] - 1) // 10 + 1).drop(columns="train_accuracy"))
    assert [line.get_xdata()[0] for line in ax.lines[3:]] == [10.5, 20.5]


def test_the_whole_validation_file_is_shown_rather_than_batches_of_it():
    ax = plots.training_curve(RESULTS.assign(full_valid_loss=[*[np.nan] * 29, 0.7]))
    assert lines_of(ax)["validation"].get_ydata().tolist() == [0.7]


def test_smoothing_keeps_the_length_the_level_and_short_series():
    values = pd.Series(np.tile([1.0, 3.0], 50))
    assert len(plots.smoothed(values)) == 100 and plots.smoothed(values).between(1.7, 2.3).all()
    assert plots.smoothed(pd.Series([5.0])).tolist() == [5]


def test_the_confusion_matrix_counts_rows_by_truth_and_columns_by_prediction():
    ax = plots.confusion(["a", "a", "b", "c"], ["a", "b", "b", "b"], labels=["a", "b", "c"])
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells == {(0, 0): "1", (1, 0): "1", (1, 1): "1", (1, 2): "1"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


def test_the_confusion_matrix_finds_its_labels_in_both_sequences():
    ax = plots.confusion(["b", "b"], ["b", "z"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["b", "z"]


def test_roc_and_precision_recall_carry_their_areas_and_their_baselines():
    roc, curve = plots.roc(TRUTH, SCORES), plots.precision_recall(TRUTH, SCORES)
    assert list(lines_of(roc)) == ["guessing (area 0.50)", "model (area 0.88)"]
    # by hand: 14 of the 16 pairs are in order; the four positives come 1st, 2nd, 3rd and 6th: (1 + 1 + 1 + 4/6) / 4
    assert list(lines_of(curve)) == ["all called positive (0.50)", "model (average 0.92)"]
    assert roc.get_xlabel() == "false positive rate" and curve.get_ylabel() == "precision"
    assert {text.get_text() for text in roc.get_legend().get_texts()} == set(lines_of(roc))


@pytest.mark.parametrize("draw", [plots.roc, plots.precision_recall])
def test_models_can_be_compared_on_the_same_axes_in_colours_of_their_own(draw):
    ax = draw(TRUTH, SCORES, label="one")
    assert draw(TRUTH, SCORES[::-1], ax=ax, label="two") is ax
    assert len(ax.lines) == 3 and len({line.get_color() for line in ax.lines}) == 3


def test_calibration_shows_each_bin_and_the_expected_error():
    ax = plots.calibration([0, 1, 1, 1], [0.05, 0.15, 0.9, 0.95], bins=10)
    assert ax.collections[0].get_offsets().tolist() == [[0.05, 0], [0.15, 1], [pytest.approx(0.925), 1]]
    assert "expected error 0.26" in ax.get_legend().get_texts()[1].get_text()


def test_the_learning_curve_gives_each_doubling_the_same_room():
    ax = plots.learning_curve([50, 100, 200], [0.2, 0.7, 0.9], intervals=[(0.1, 0.3), (0.6, 0.8), (0.85, 0.95)],
                              baselines={"majority": 0.25}, score="macro F1")
    assert ax.get_xscale() == "log" and [label.get_text() for label in ax.get_xticklabels()] == ["50", "100", "200"]
    assert lines_of(ax)["majority"].get_ydata()[0] == 0.25 and ax.get_ylabel() == "macro F1"
    assert plots.learning_curve([1, 2], [0, 1]).get_legend() is None


def test_lengths_show_the_median_and_how_many_are_over_the_limit():
    ax = plots.plot_lengths([10, 20, 30, 500], limit=100)
    assert list(lines_of(ax)) == ["median 25", "limit 100 (1 over it)"]
    assert sum(bar.get_height() for bar in ax.patches) == 4
    assert plots.plot_lengths([7]).patches


@pytest.mark.parametrize("draw", [
    lambda: plots.training_curve(RESULTS), lambda: plots.confusion(["a"], ["b"]), lambda: plots.roc(TRUTH, SCORES),
    lambda: plots.calibration(TRUTH, SCORES), lambda: plots.plot_lengths([1, 2])])
def test_every_figure_stands_on_white_whatever_the_page(draw):
    with plt.style.context({"figure.facecolor": "none"}):
        picture = io.BytesIO()
        draw().figure.savefig(picture, format="png", dpi=40)
    assert Image.open(picture).convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
