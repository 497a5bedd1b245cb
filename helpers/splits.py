"""A train and a test table that have nothing in common.

Knows tables. Knows nothing of models. Everything follows from the seed.

    train, test = split(frame, test=0.2, stratify="department")
    train, test = split(turns, test=50, group="conversation")  # whole conversations on one side
"""

import numpy as np
import pandas as pd

from helpers.errors import FormatError


def split(frame: pd.DataFrame, *, test: float | int, stratify: str | None = None, group: str | None = None,
          seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables (train, test) in random order, with new indices. `test` is a share below 1 or a number of rows.

    `stratify` names the column whose classes keep their shares on both sides; `group` the column whose equal values
    stay on one side, which makes the size of the test table approximate.
    """
    wanted = _test_size(test, len(frame))
    random = np.random.default_rng(seed)
    strata = _codes(frame, stratify) if stratify else np.zeros(len(frame), dtype=int)
    targets = _shares(np.bincount(strata), wanted)
    order = random.permutation(len(frame))
    if group:
        chosen = _choose_groups(_codes(frame, group), strata, targets, random)
    else:
        # The first rows of each class in random order, as many as its target.
        place = pd.Series(strata[order]).groupby(strata[order]).cumcount().to_numpy()
        chosen = np.zeros(len(frame), dtype=bool)
        chosen[order] = place < targets[strata[order]]
    if chosen.all() or not chosen.any():
        raise FormatError(f"cannot put about {wanted} of {len(frame)} rows into the test table without dividing a group "
                          f"of {group!r}: it has only {len(set(frame[group]))}", field=group)
    in_test = chosen[order]
    return frame.iloc[order[~in_test]].reset_index(drop=True), frame.iloc[order[in_test]].reset_index(drop=True)


def _test_size(test: float | int, rows: int) -> int:
    wanted = round(test * rows) if isinstance(test, float) else test
    if (isinstance(test, float) and not 0 < test < 1) or not 0 < wanted < rows:
        raise FormatError(f"test={test!r} leaves one side of {rows} rows empty: give a share between 0 and 1, or a "
                          f"number of rows between 1 and {rows - 1}", field="test")
    return wanted


def _codes(frame: pd.DataFrame, column: str) -> np.ndarray:
    if column not in frame.columns:
        raise FormatError(f"there is no column {column!r}: the table has {', '.join(map(repr, frame.columns))}",
                          field=column)
    missing = frame[column].isna().to_numpy()
    if missing.any():
        raise FormatError(f"no value in {column!r} to split by: fill it in, or drop the row",
                          row=int(missing.argmax()) + 1, field=column)
    return pd.factorize(frame[column])[0]


def _shares(counts: np.ndarray, wanted: int) -> np.ndarray:
    """How many of each class go into the test table: proportional, with the rounding that adds up to `wanted`."""
    exact = counts * wanted / counts.sum()
    result = np.floor(exact).astype(int)
    result[np.argsort(result - exact, kind="stable")[: wanted - result.sum()]] += 1
    return result


def _choose_groups(groups: np.ndarray, strata: np.ndarray, targets: np.ndarray,
                   random: np.random.Generator) -> np.ndarray:
    """Whether each row is in the test table: groups in random order, each taken if it brings us nearer the targets.

    Groups of one row fill up what is missing exactly. Of the others only so many are tried before them as the test table is
    part of the whole, or it would consist of them; the rest come last, for where too few rows stand alone.
    """
    missing, taken = targets.copy(), np.zeros(len(groups), dtype=bool)
    rows = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    rows = rows[sizes[groups[rows]] > 1]
    several = np.split(rows, np.flatnonzero(np.diff(groups[rows])) + 1) if len(rows) else []

    def take(numbers: np.ndarray) -> None:
        for number in numbers:
            classes, counts = np.unique(strata[several[number]], return_counts=True)
            if np.abs(missing[classes] - counts).sum() < np.abs(missing[classes]).sum():
                missing[classes] -= counts
                taken[several[number]] = True

    order = random.permutation(len(several))
    early = random.random(len(several)) < targets.sum() / len(groups)
    take(order[early[order]])
    single = random.permutation(np.flatnonzero(sizes[groups] == 1))
    place = pd.Series(strata[single]).groupby(strata[single]).cumcount().to_numpy()
    chosen = single[place < missing[strata[single]]]
    taken[chosen] = True
    missing -= np.bincount(strata[chosen], minlength=len(missing))
    take(order[~early[order]])
    return taken
