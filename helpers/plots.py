"""The plots of the notebooks: one call each, labelled, readable on light and dark pages.

Knows matplotlib and colours. Knows nothing of the API. Each function draws on `ax`, or on a new figure, and returns the
axes. Figures keep a white ground: lines and text in greys that would do on both kinds of page read well on neither.

    training_curve(results(client, job))
    confusion(truth, predicted)
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter, ScalarFormatter

# Okabe and Ito's palette, which people with any of the common colour blindnesses can tell apart.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#767676"


def training_curve(results: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Loss by step, each step's lightly and their trend strongly, with the validation loss where there is one.

    Without `ax`, the accuracy by step stands beside it. Epochs are marked where the table has a column "epoch".
    """
    alone = ax is None
    accuracy = alone and "train_accuracy" in results
    if ax is None:
        _, panels = plt.subplots(1, 1 + accuracy, figsize=(9 if accuracy else 6, 3.4), squeeze=False,
                                 layout="constrained", facecolor="white")
        ax = panels[0][0]
        if accuracy:
            _curves(panels[0][1], results, "accuracy")
            panels[0][1].set(ylabel="accuracy of the next token", ylim=(0, 1.03))
            panels[0][1].yaxis.set_major_formatter(PercentFormatter(1))
    _curves(ax, results, "loss")
    ax.set(ylabel="loss (nats per token)", title=title or "")
    ax.set_ylim(bottom=0)
    return ax


def confusion(truth: Sequence[str], predicted: Sequence[str], *, labels: Sequence[str] | None = None,
              ax: Axes | None = None) -> Axes:
    """How often each class (row) was called what (column). `labels` gives the order, and the classes to show."""
    from sklearn.metrics import confusion_matrix  # only here: a second that the other plots need not take

    names = list(labels) if labels is not None else sorted({*truth, *predicted}, key=str)
    counts = confusion_matrix(list(truth), list(predicted), labels=names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax = ax or _axes(1.6 + 0.75 * len(names), 1.2 + 0.6 * len(names))
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            ax.text(column, row, counts[row, column], ha="center", va="center",
                    color="white" if shares[row, column] > 0.5 else "black")
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def roc(truth: Sequence[bool], scores: Sequence[float], *, ax: Axes | None = None, label: str = "model") -> Axes:
    """True positive rate against false positive rate, for every threshold. Call again with `ax` to compare models."""
    from sklearn.metrics import roc_auc_score, roc_curve

    false_rate, true_rate, _ = roc_curve(truth, scores)
    ax, color = _compared(ax)
    if not ax.lines:
        ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="guessing (area 0.50)")
    ax.plot(false_rate, true_rate, color=color, label=f"{label} (area {roc_auc_score(truth, scores):.2f})")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(loc="lower right")
    return ax


def precision_recall(truth: Sequence[bool], scores: Sequence[float], *, ax: Axes | None = None,
                     label: str = "model") -> Axes:
    """Precision against recall, for every threshold. Call again with `ax` to compare models."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth, scores)
    ax, color = _compared(ax)
    if not ax.lines:
        share = float(np.mean(truth))
        ax.axhline(share, color=GREY, linestyle=":", label=f"all called positive ({share:.2f})")
    area = average_precision_score(truth, scores)
    ax.step(recall, precision, where="post", color=color, label=f"{label} (average {area:.2f})")
    ax.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(loc="best")
    return ax


def calibration(truth: Sequence[bool], scores: Sequence[float], *, bins: int = 10, ax: Axes | None = None) -> Axes:
    """How often the model is right (dots) when it says it is so sure (across). The larger the dot, the more examples."""
    from helpers.metrics import calibration_table, expected_calibration_error

    table = calibration_table(truth, scores, bins=bins)
    error = expected_calibration_error(truth, scores, bins=bins)
    ax = ax or _axes(4.2, 4)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
    ax.plot(table["mean_score"], table["share_true"], color=BLUE, alpha=0.5)
    ax.scatter(table["mean_score"], table["share_true"], s=20 + 300 * table["examples"] / table["examples"].sum(),
               color=BLUE, zorder=3, label=f"model (expected error {error:.2f})")
    ax.set(xlabel="what the model says", ylabel="how often it is true", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(loc="upper left", markerscale=0.5)
    return ax


def learning_curve(sizes: Sequence[int], scores: Sequence[float], *, intervals: Sequence[tuple[float, float]] | None = None,
                   baselines: dict[str, float] | None = None, score: str = "accuracy", ax: Axes | None = None) -> Axes:
    """Score by number of training examples, on an axis where each doubling takes the same room.

    `intervals` has (low, high) for each score; `baselines` draws a level line for each of its names.
    """
    ax = ax or _axes(6, 3.6)
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


def plot_lengths(lengths: Sequence[int], *, limit: int | None = None, ax: Axes | None = None) -> Axes:
    """How many examples have how many tokens. `limit` marks the longest that a model takes."""
    lengths = np.asarray(lengths)
    ax = ax or _axes(6, 3)
    ax.hist(lengths, bins="auto" if len(lengths) > 1 else 1, color=BLUE, alpha=0.85)
    median = np.median(lengths)
    ax.axvline(median, color=ORANGE, linewidth=2, label=f"median {median:.0f}")
    if limit is not None:
        over = int((lengths > limit).sum())
        ax.axvline(limit, color=RED, linestyle="--", linewidth=2, label=f"limit {limit} ({over} over it)")
    ax.set(xlabel="tokens in the example", ylabel="examples")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


def _axes(width: float, height: float) -> Axes:
    # White whatever the page's theme: see the module's docstring.
    return plt.subplots(figsize=(width, height), layout="constrained", facecolor="white")[1]


def _compared(ax: Axes | None) -> tuple[Axes, str]:
    """The axes and the colour for the next curve on it."""
    ax = ax or _axes(4.6, 4)
    drawn = max(len(ax.lines) - 1, 0)
    return ax, (BLUE, ORANGE, GREEN, RED)[drawn % 4]


def _curves(ax: Axes, results: pd.DataFrame, kind: str) -> None:
    steps, values = results["step"], results[f"train_{kind}"]
    ax.plot(steps, values, color=BLUE, alpha=0.3, linewidth=1)
    ax.plot(steps, smoothed(values), color=BLUE, linewidth=2, label="training")
    # The whole validation file says more than one batch of it.
    for name in (f"full_valid_{kind}", f"valid_{kind}"):
        known = results[name].notna() if name in results else pd.Series(dtype=bool)
        if known.any():
            ax.plot(steps[known], results.loc[known, name], color=ORANGE, marker="o", markersize=4, label="validation")
            ax.legend()
            break
    if "epoch" in results:
        for step in steps[results["epoch"].diff() > 0]:
            ax.axvline(step - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step")
    ax.grid(alpha=0.3)


def smoothed(values: pd.Series) -> pd.Series:
    """The mean of each value and its neighbours, about a tenth of the values in all."""
    return values.rolling(max(1, len(values) // 10) | 1, center=True, min_periods=1).mean()
