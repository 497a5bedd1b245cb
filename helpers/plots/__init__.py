"""The plots of the notebooks: one call each, labelled, readable on light and dark pages.

Knows matplotlib and colours. Knows nothing of the API. Each function draws on `ax`, or on a new figure, and returns the
axes. Figures keep a white ground, or that of the style in use: lines and text in greys that would do on both kinds of page
read well on neither.

    training_curve(results(client, job))
    confusion(truth, predicted)
"""

from helpers.plots.curves import compare_runs, learning_curve, small_multiples, smoothed, training_curve
from helpers.plots.paper import BLUE, GREEN, GREY, ORANGE, RED
from helpers.plots.scores import calibration, confusion, plot_lengths, precision_recall, roc

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "RED", "calibration", "compare_runs", "confusion", "learning_curve",
           "plot_lengths", "precision_recall", "roc", "small_multiples", "smoothed", "training_curve"]
