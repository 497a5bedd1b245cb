"""Curves of training runs, from the tables of `results`, and of runs with more and more data.

Knows the names of the columns (`result_files.py`). Knows nothing of the API.

    training_curve(table)
    compare_runs({"2 epochs": table, "4 epochs": other})
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter, ScalarFormatter

from helpers.plots.paper import BLUE, COLORS, GREEN, GREY, ORANGE, RED, axes, grid

LABELS = {"loss": "loss (nats per token)", "accuracy": "accuracy of the next token",
          "sequence_accuracy": "accuracy of the whole completion"}
# Of jobs with the method dpo, which the tables of such jobs have in `attrs`.
LABELS_OF_PAIRS = {"loss": "loss (nats per pair)", "accuracy": "pairs with a margin above 0",
                   "sequence_accuracy": "pairs with a margin above 0"}


def training_curve(results: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Loss by step, each step's lightly and their trend strongly, with the validation loss where there is one.

    Without `ax`, the accuracy by step stands beside it. Epochs are marked where the table has a column "epoch". Where the first
    steps have a loss far above all others they are cut off, and an arrow says how high they reach.
    """
    alone = ax is None
    accuracy = alone and "train_accuracy" in results
    if ax is None:
        panels = grid(9 if accuracy else 6, 3.4, columns=1 + accuracy)
        ax = panels[0][0]
        if accuracy:
            _curves(panels[0][1], results, "accuracy")
            _scale(panels[0][1], "accuracy", [results])
    _curves(ax, results, "loss")
    _scale(ax, "loss", [results])
    ax.set_title(title or "")
    return ax


def compare_runs(runs: Mapping[str, pd.DataFrame], *, kind: str = "loss", by: str = "epoch", ax: Axes | None = None) -> Axes:
    """The results of several runs on one pair of axes, a colour for each: validation as a line with dots, training dotted.

    `kind` is "loss", "accuracy" or "sequence_accuracy". Across stand finished epochs, which runs with different batch sizes have
    in common, or another column: `by` "step" or "elapsed_examples", say. A run without validation has its training line only.
    """
    ax = ax or axes(6.4, 3.8)
    for number, (name, results) in enumerate(runs.items()):
        color, places = COLORS[number % len(COLORS)], _places(results, by, name)
        validation = _validation(results, kind)
        alone = validation is None
        ax.plot(places, smoothed(results[f"train_{kind}"]), color=color, linewidth=2 if alone else 1.3,
                linestyle="-" if alone else ":", label=name if alone else None)
        if validation is not None:
            ax.plot(places[validation.index], validation, color=color, linewidth=2, marker="o", markersize=4, label=name)
    ax.set_xlabel({"epoch": "epochs", "step": "step"}.get(by, by.replace("_", " ")))
    if any(_validation(results, kind) is not None for results in runs.values()):
        ax.plot([], [], color=GREY, linestyle=":", label="(training)")
    ax.legend()
    _scale(ax, kind, list(runs.values()))
    return ax


def small_multiples(runs: Mapping[str, pd.DataFrame], *, kind: str = "loss", across: int = 3,
                    ax: Sequence[Axes] | None = None) -> np.ndarray:
    """A panel for each run, all on the same scale: its training and validation curves, its name above them.

    Returns the axes, one for each run; `ax` gives them instead of a new figure.
    """
    if ax is None:
        columns, lines = min(across, len(runs)), math.ceil(len(runs) / across)
        places = grid(3.2 * columns, 2.6 * lines, lines=lines, columns=columns)
        for empty in places.flat[len(runs):]:
            empty.set_visible(False)
        ax = places.flat[:len(runs)]
    panels = np.array(list(ax), dtype=object)
    for place, (panel, (name, results)) in enumerate(zip(panels, runs.items(), strict=True)):
        _curves(panel, results, kind)
        _scale(panel, kind, list(runs.values()), shown=results)
        panel.set_title(name, fontsize=10)
        if place % across:
            panel.set_ylabel("")
        if place and panel.get_legend():
            panel.get_legend().remove()
    return panels


def learning_curve(sizes: Sequence[int], scores: Sequence[float], *, intervals: Sequence[tuple[float, float]] | None = None,
                   baselines: dict[str, float] | None = None, score: str = "accuracy", ax: Axes | None = None) -> Axes:
    """Score by number of training examples, on an axis where each doubling takes the same room.

    `intervals` has (low, high) for each score; `baselines` draws a level line for each of its names.
    """
    ax = ax or axes(6, 3.6)
    ax.plot(sizes, scores, color=BLUE, marker="o", label="fine-tuned")
    if intervals is not None:
        low, high = zip(*intervals, strict=True)
        ax.fill_between(sizes, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95 % interval")
    for (name, level), color in zip((baselines or {}).items(), (ORANGE, GREEN, RED, GREY) * 9, strict=False):
        ax.axhline(level, color=color, linestyle="--", label=name)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set_xticks(sizes)
    ax.set(xlabel="training examples", ylabel=score)
    ax.grid(alpha=0.3)
    if ax.get_legend_handles_labels()[1] != ["fine-tuned"]:
        ax.legend()
    return ax


def smoothed(values: pd.Series) -> pd.Series:
    """The mean of each value and its neighbours, about a tenth of the values in all."""
    return values.rolling(max(1, len(values) // 10) | 1, center=True, min_periods=1).mean()


def _curves(ax: Axes, results: pd.DataFrame, kind: str) -> None:
    steps, values = results["step"], results[f"train_{kind}"]
    ax.plot(steps, values, color=BLUE, alpha=0.3, linewidth=1)
    ax.plot(steps, smoothed(values), color=BLUE, linewidth=2, label="training")
    validation = _validation(results, kind)
    if validation is not None:
        measured = results.get(f"valid_{kind}", validation).dropna()
        if len(measured) > len(validation):  # batches of the file: lightly, as the single steps are
            ax.plot(steps[measured.index], measured, color=ORANGE, alpha=0.35, linewidth=1)
        ax.plot(steps[validation.index], validation, color=ORANGE, linewidth=2, marker="o", markersize=4, label="validation")
        ax.legend()
    if "epoch" in results:
        for step in steps[results["epoch"].diff() > 0]:
            ax.axvline(step - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.set_xlabel("step")


def _scale(ax: Axes, kind: str, runs: Sequence[pd.DataFrame], *, shown: pd.DataFrame | None = None) -> None:
    """The upright axis, the same for all `runs`; `shown` is the one that is drawn here, where it is not all of them.

    The first steps can have ten times the loss of the others, which would lie flat on the ground below them.
    """
    of_pairs = all(results.attrs.get("method") == "dpo" for results in runs)
    ax.set_ylabel((LABELS_OF_PAIRS if of_pairs else LABELS)[kind])
    ax.grid(alpha=0.3)
    if kind != "loss":
        ax.set_ylim(0, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        return
    top, highest = 1.1 * max(map(_usual, runs)), max(map(_highest, runs))
    if highest <= 1.5 * top:
        top = 1.05 * highest
    reached = highest if shown is None else _highest(shown)
    if reached > top:
        ax.text(0, 1.01, f"\u2191 {reached:.1f}", transform=ax.transAxes, va="bottom", color=GREY, fontsize=8)
    ax.set_ylim(0, top or 1)


def _highest(results: pd.DataFrame) -> float:
    """The highest loss of all; 0 where there is none."""
    losses = results[[name for name in ("train_loss", "valid_loss") if name in results]]
    return float(np.nan_to_num(losses.replace(np.inf, np.nan).max().max()))


def _usual(results: pd.DataFrame) -> float:
    """The highest loss of the curves when the beginning of the training is left out: a fifth, or four steps."""
    trend, validation = smoothed(results["train_loss"]), _validation(results, "loss")
    beginning = max(len(trend) // 5, min(4, len(trend) // 2))
    curves = pd.concat([trend.iloc[beginning:], *([] if validation is None else [validation])])
    return float(np.nan_to_num(curves.replace(np.inf, np.nan).max()))


def _validation(results: pd.DataFrame, kind: str) -> pd.Series | None:
    """The validation figures that say most, on the index of their rows; None without any.

    Those of the whole file where the table has them; those at the epochs' ends, where this API measures the whole file;
    or else the trend of the batches.
    """
    for name in (f"full_valid_{kind}", f"valid_{kind}"):
        if name in results and results[name].notna().any():
            break
    else:
        return None
    known = results[name].dropna()
    if "epoch" in results:
        ends = results.index[results["epoch"].diff(-1) != 0]
        if len(ends) > 1 and ends.isin(known.index).all():
            return known[ends]
    return smoothed(known)


def _places(results: pd.DataFrame, by: str, name: str) -> pd.Series:
    """Where each row of a run stands across: finished epochs count in fractions."""
    if by not in results:
        raise ValueError(f"the run {name!r} has no column {by!r}: give by= one that all runs have, such as 'step'")
    if by != "epoch":
        return results[by]
    return results["step"] * results["epoch"].iloc[-1] / results["step"].iloc[-1]
