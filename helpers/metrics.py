"""How good the answers are: thin over scikit-learn and SciPy.

Knows labels and scores. Knows nothing of models or of the API.

    classification_scores(truth, predicted)         # accuracy, macro_f1, examples
    low, high = bootstrap_interval(correct)         # what the accuracy could have been with other test examples
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd


def classification_scores(truth: Sequence[str], predicted: Sequence[str]) -> pd.Series:
    """accuracy, macro_f1 (each class of the truth counts alike, however rare) and the number of examples."""
    from sklearn.metrics import accuracy_score, f1_score

    truth, predicted = _alike(truth, predicted)
    return pd.Series({
        "accuracy": accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0),
        "examples": len(truth),
    })


def class_scores(truth: Sequence[str], predicted: Sequence[str]) -> pd.DataFrame:
    """A row for each class of the truth: precision, recall, f1 and support (its examples), the commonest class first."""
    from sklearn.metrics import precision_recall_fscore_support

    truth, predicted = _alike(truth, predicted)
    labels = pd.Series(truth).value_counts().index
    values = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    table = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), values, strict=True)), index=labels)
    return table.rename_axis("class")


def bootstrap_interval(*samples: Sequence, score: Callable[..., float] = np.mean, seed: int = 0,
                       confidence: float = 0.95, resamples: int = 1000) -> tuple[float, float]:
    """The interval that holds `score(*samples)` in `confidence` of the resamples (the percentile bootstrap).

    Several samples, such as truth and predictions, are resampled together: `bootstrap_interval(truth, predicted,
    score=accuracy_score)`.
    """
    from scipy.stats import bootstrap

    arrays = _alike(*samples)

    def of_resample(places: np.ndarray) -> float:
        return score(*(array[places] for array in arrays))

    found = bootstrap((np.arange(len(arrays[0])),), of_resample, vectorized=False, method="percentile",
                      confidence_level=confidence, n_resamples=resamples, rng=np.random.default_rng(seed))
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def calibration_table(truth: Sequence[bool], scores: Sequence[float], *, bins: int = 10) -> pd.DataFrame:
    """A row for each bin that has examples: its bounds, its examples, their mean score, and the share that is true.

    With several classes, give whether each answer was right, and how sure the model was of it.
    """
    truth, scores = _alike(truth, scores)
    if ((scores < 0) | (scores > 1)).any():
        raise ValueError("scores must be probabilities between 0 and 1: take the exponential of logprobs first")
    place = np.minimum((scores * bins).astype(int), bins - 1)
    grouped = pd.DataFrame({"truth": truth.astype(float), "score": scores}).groupby(place)
    table = grouped.agg(examples=("score", "size"), mean_score=("score", "mean"), share_true=("truth", "mean"))
    table.insert(0, "low", table.index / bins)
    table.insert(1, "high", (table.index + 1) / bins)
    return table.reset_index(drop=True)


def expected_calibration_error(truth: Sequence[bool], scores: Sequence[float], *, bins: int = 10) -> float:
    """The mean distance between score and share true over the bins of `calibration_table`, weighted by their examples."""
    table = calibration_table(truth, scores, bins=bins)
    return float(np.average((table["mean_score"] - table["share_true"]).abs(), weights=table["examples"]))


def _alike(*samples: Sequence) -> list[np.ndarray]:
    arrays = [np.asarray(sample) for sample in samples]
    if len({len(array) for array in arrays}) != 1 or not len(arrays[0]):
        raise ValueError(f"expected samples of one length and not empty, met {', '.join(str(len(a)) for a in arrays)}")
    return arrays
