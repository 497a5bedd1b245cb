"""Training and validation rows that have nothing in common.

Rows that ask the same, or nearly the same, or come from one source (a conversation, say) stay on one side; classes keep
their shares. Knows rows by their keys. Knows nothing of files.

    train, valid = split(look, seed=0)     # places of rows, in the order of the file
"""

import numpy as np
import pandas as pd

from helpers import splits
from helpers.preparation.checks.repeats import near_clusters
from helpers.preparation.look import Look

SHARE, MOST = 0.2, 1000  # a fifth of the rows is validated on, but no more than tells good from bad


def split(look: Look, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The places of the training rows and of the validation rows. Raises FormatError where all rows belong together."""
    number = len(look.table)
    frame = pd.DataFrame({"place": np.arange(number), "source": sources(look)})
    if look.task == "classification":
        frame["class"] = look.label_keys
    wanted = max(1, min(MOST, round(SHARE * number)))
    train, valid = splits.split(frame, test=wanted, stratify="class" if "class" in frame else None, group="source", seed=seed)
    return np.sort(train["place"].to_numpy()), np.sort(valid["place"].to_numpy())


def sources(look: Look) -> np.ndarray:
    """A number for each row, equal for rows that must not be parted."""
    from scipy.sparse import coo_array  # only here: a quarter of a second
    from scipy.sparse.csgraph import connected_components

    number = len(look.table)
    questions = look.question_keys
    reasons = [np.where(questions == 0, np.arange(number), pd.factorize(questions)[0] + number)]
    if not look.options.quick:
        reasons.append(near_clusters(look))
    if look.table.groups is not None:
        reasons.append(pd.factorize(look.table.groups)[0])
    # Rows and reasons are the two sides of a graph: what hangs together stays together.
    codes = [np.unique(reason, return_inverse=True)[1] for reason in reasons]
    offsets = number + np.concatenate([[0], np.cumsum([code.max(initial=-1) + 1 for code in codes])])
    nodes = np.concatenate([code + offset for code, offset in zip(codes, offsets, strict=False)])
    edges = (np.ones(len(nodes), dtype=bool), (np.tile(np.arange(number), len(codes)), nodes))
    _, component = connected_components(coo_array(edges, shape=(offsets[-1], offsets[-1])), directed=False)
    return component[:number]
