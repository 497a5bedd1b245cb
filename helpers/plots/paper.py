"""What every plot is drawn on and with: figures with a ground, and colours that all readers can tell apart.

Knows nothing of what is plotted.

    ax = axes(6, 3.4)
    ax.plot(steps, losses, color=BLUE)
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

# Okabe and Ito's palette, which people with any of the common colour blindnesses can tell apart.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#767676"
COLORS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#000000")


def axes(width: float, height: float) -> Axes:
    """A new figure's only axes. The size is in inches."""
    return grid(width, height)[0][0]


def grid(width: float, height: float, *, lines: int = 1, columns: int = 1) -> np.ndarray:
    """A new figure's axes, [lines, columns], on the ground of the axes all over: white, unless a style was chosen."""
    # A page's dark theme makes figures transparent, and black letters on a dark page cannot be read.
    return plt.subplots(lines, columns, figsize=(width, height), squeeze=False, layout="constrained",
                        facecolor=plt.rcParams["axes.facecolor"])[1]
