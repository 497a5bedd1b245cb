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
EPOCHS = RESULTS.assign(epoch=(RESULTS["step"] - 1) // 10 + 1)
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


def test_the_curve_of_a_job_of_pairs_says_what_its_numbers_are_about():
    pairs = RESULTS.copy()
    pairs.attrs["method"] = "dpo"
    loss, accuracy = plots.training_curve(pairs).figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss (nats per pair)", "pairs with a margin above 0")


def test_a_training_curve_on_axes_of_ours_draws_the_loss_there_and_nothing_else():
    figure, ax = plt.subplots()
    assert plots.training_curve(RESULTS.drop(columns="valid_loss"), ax=ax) is ax
    assert figure.axes == [ax] and len(ax.lines) == 2 and ax.get_legend() is None


def test_epochs_are_marked_where_the_table_knows_them():
    ax = plots.training_curve(EPOCHS.drop(columns="train_accuracy"))
    assert [line.get_xdata()[0] for line in ax.lines[3:]] == [10.5, 20.5]


def test_the_whole_validation_file_is_shown_rather_than_batches_of_it():
    ax = plots.training_curve(RESULTS.assign(full_valid_loss=[*[np.nan] * 29, 0.7]))
    assert lines_of(ax)["validation"].get_ydata().tolist() == [0.7]


def test_the_line_goes_through_the_ends_of_the_epochs_and_batches_of_the_validation_file_are_light():
    measured = EPOCHS.assign(valid_loss=[9.0 if step % 5 else step / 10 for step in EPOCHS["step"]])
    raw, line = plots.training_curve(measured).lines[2:4]
    assert line.get_label() == "validation" and line.get_ydata().tolist() == [1, 2, 3]
    assert len(raw.get_xdata()) == 30 and raw.get_alpha() < 0.5


def test_in_a_single_epoch_the_validation_is_the_trend_of_its_batches():
    wave = RESULTS.assign(epoch=1, valid_loss=np.tile([1.0, 2.0, 3.0], 10))
    line = lines_of(plots.training_curve(wave))["validation"]
    assert len(line.get_xdata()) == 30 and line.get_ydata()[1:-1] == pytest.approx(2)


def test_a_steep_beginning_is_cut_off_and_its_height_written_above():
    steep = RESULTS.assign(train_loss=[15.0, *RESULTS["train_loss"][1:]])
    ax = plots.training_curve(steep)
    assert ax.get_ylim()[1] < 3 and [text.get_text() for text in ax.texts] == ["\u2191 15.0"]
    assert not plots.training_curve(RESULTS).texts and plots.training_curve(RESULTS).get_ylim()[1] > 2


@pytest.mark.parametrize("losses", [[1.0], [np.inf, 1.0], [np.nan], [0.0, 0.0]])
def test_short_and_diverged_runs_are_drawn_all_the_same(losses):
    table = pd.DataFrame({"step": range(1, len(losses) + 1), "train_loss": losses})
    ax = plots.training_curve(table)
    assert ax.get_ylim()[0] == 0 < ax.get_ylim()[1] < 2
    ax.figure.canvas.draw()


def test_runs_are_compared_by_finished_epochs_in_colours_of_their_own():
    short = EPOCHS[EPOCHS["step"] <= 20]
    ax = plots.compare_runs({"three": EPOCHS, "two": short})
    drawn = lines_of(ax)
    assert drawn["three"].get_xdata().tolist() == [1, 2, 3] and drawn["two"].get_xdata().tolist() == [1, 2]
    assert drawn["two"].get_ydata().tolist() == short["valid_loss"].dropna().tolist()
    assert drawn["three"].get_color() != drawn["two"].get_color()
    training = [line for line in ax.lines if line.get_linestyle() == ":" and len(line.get_xdata())]
    assert [line.get_color() for line in training] == [drawn["three"].get_color(), drawn["two"].get_color()]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epochs", "loss (nats per token)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["three", "two", "(training)"]


def test_runs_without_validation_are_compared_by_their_training_on_axes_of_ours():
    _, ours = plt.subplots()
    ax = plots.compare_runs({"a": EPOCHS.drop(columns="valid_loss"), "b": EPOCHS.drop(columns="valid_loss")}, by="step", ax=ours)
    assert ax is ours and ax.get_xlabel() == "step" and list(lines_of(ax)) == ["a", "b"]
    assert {line.get_linestyle() for line in ax.lines} == {"-"} and ax.lines[0].get_xdata().tolist() == list(range(1, 31))


def test_a_run_that_lacks_the_column_across_is_named():
    with pytest.raises(ValueError, match="the run 'b' has no column 'epoch': give by= one that all runs have, such as 'step'"):
        plots.compare_runs({"a": EPOCHS, "b": RESULTS})


def test_accuracies_are_compared_in_percent():
    ax = plots.compare_runs({"a": EPOCHS}, kind="accuracy")
    assert ax.get_ylim() == (0, 1.03) and ax.yaxis.get_major_formatter()(0.5) == "50%"
    assert ax.get_ylabel() == "accuracy of the next token"


def test_small_multiples_have_a_panel_for_each_run_on_one_scale():
    panels = plots.small_multiples({"low": EPOCHS, "high": EPOCHS.assign(train_loss=EPOCHS["train_loss"] + 2), "bare": RESULTS,
                                    "last": EPOCHS}, across=3)
    assert [panel.get_title() for panel in panels] == ["low", "high", "bare", "last"]
    assert [panel.get_ylim() for panel in panels] == [(0, pytest.approx(4 * 1.05))] * 4
    assert [bool(panel.get_ylabel()) for panel in panels] == [True, False, False, True]
    assert [panel.get_legend() is not None for panel in panels] == [True, False, False, False]
    assert sum(ax.get_visible() for ax in panels[0].figure.axes) == 4
    assert panels[1].lines[0].get_ydata().tolist() == (EPOCHS["train_loss"] + 2).tolist()


def test_small_multiples_draw_on_axes_of_ours():
    figure, ours = plt.subplots(1, 2)
    assert plots.small_multiples({"a": EPOCHS, "b": EPOCHS}, ax=ours).tolist() == list(ours)
    assert figure.axes == list(ours)


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
    lambda: plots.calibration(TRUTH, SCORES), lambda: plots.plot_lengths([1, 2]), lambda: plots.compare_runs({"a": EPOCHS}),
    lambda: plots.small_multiples({"a": EPOCHS})[0], lambda: plots.learning_curve([1, 2], [0, 1])])
def test_every_figure_stands_on_white_whatever_the_page(draw):
    with plt.style.context({"figure.facecolor": "none"}):
        picture = io.BytesIO()
        draw().figure.savefig(picture, format="png", dpi=40)
    assert Image.open(picture).convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_a_dark_style_keeps_its_dark_ground_under_its_light_letters():
    with plt.style.context("dark_background"):
        ax = plots.training_curve(RESULTS)
    assert ax.figure.get_facecolor()[:3] == ax.get_facecolor()[:3] == (0, 0, 0) and ax.xaxis.label.get_color() == "white"
