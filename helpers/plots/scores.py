"""Plots of how good answers are: confusion, ROC, precision and recall, calibration; and of how long examples are.

Knows labels, scores and lengths. Knows nothing of models.

    confusion(truth, predicted)
    ax = roc(truth, scores, label="fine-tuned")
    roc(truth, others, ax=ax, label="yardstick")
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from helpers.plots.paper import BLUE, GREEN, GREY, ORANGE, RED, axes


def confusion(truth: Sequence[str], predicted: Sequence[str], *, labels: Sequence[str] | None = None,
              ax: Axes | None = None) -> Axes:
    """How often each class (row) was called what (column). `labels` gives the order, and the classes to show."""
    from sklearn.metrics import confusion_matrix  # only here: a second that the other plots need not take

    names = list(labels) if labels is not None else sorted({*truth, *predicted}, key=str)
    counts = confusion_matrix(list(truth), list(predicted), labels=names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax = ax or axes(1.6 + 0.75 * len(names), 1.2 + 0.6 * len(names))
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
    ax = ax or axes(4.2, 4)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
    ax.plot(table["mean_score"], table["share_true"], color=BLUE, alpha=0.5)
    ax.scatter(table["mean_score"], table["share_true"], s=20 + 300 * table["examples"] / table["examples"].sum(),
               color=BLUE, zorder=3, label=f"model (expected error {error:.2f})")
    ax.set(xlabel="what the model says", ylabel="how often it is true", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(loc="best", markerscale=0.5)
    return ax


def plot_lengths(lengths: Sequence[int], *, limit: int | None = None, ax: Axes | None = None) -> Axes:
    """How many examples have how many tokens. `limit` marks the longest that a model takes."""
    lengths = np.asarray(lengths)
    ax = ax or axes(6, 3)
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


def _compared(ax: Axes | None) -> tuple[Axes, str]:
    """The axes and the colour for the next curve on it."""
    ax = ax or axes(4.6, 4)
    drawn = max(len(ax.lines) - 1, 0)
    return ax, (BLUE, ORANGE, GREEN, RED)[drawn % 4]
