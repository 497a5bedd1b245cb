"""A job's result file as a tidy table, whoever wrote it: this API, its old form, or a hosted provider.

Knows the forms of the file and what each column means. Knows nothing of training (`jobs.py`) and of curves (`plots`).

    table = results(client, job)
    table.groupby("epoch")["train_loss"].mean()
"""

import base64
import binascii
import io
import re

import numpy as np
import openai
import pandas as pd
from openai.types.fine_tuning import FineTuningJob

from helpers.errors import FormatError

# The columns of `results`: what each one means. Losses are in nats per token, the others are shares between 0 and 1.
COLUMNS = {
    "step": "optimiser steps so far; each one is a batch of examples",
    "epoch": "which pass over the training file the step belongs to, from 1",
    "elapsed_tokens": "tokens seen so far, those of each epoch counted again",
    "elapsed_examples": "examples seen so far, those of each epoch counted again",
    "train_loss": "mean negative log-likelihood of the completion's tokens in the batch",
    "train_accuracy": "share of the completion's tokens in the batch that the model predicted right",
    "train_sequence_accuracy": "share of the batch's examples whose completion was predicted right to the last token",
    "valid_loss": "the same as train_loss, on a batch of the validation file; here, on all of it where an epoch ends",
    "valid_accuracy": "the same as train_accuracy, on the examples of valid_loss",
    "valid_sequence_accuracy": "the same as train_sequence_accuracy, on the examples of valid_loss",
    "full_valid_loss": "the same as train_loss, on the whole validation file, at the end of an epoch",
    "full_valid_accuracy": "the same as train_accuracy, on the whole validation file, at the end of an epoch",
    "classification_accuracy": "share of the validation examples whose class was predicted right",
    "classification_precision": "of the examples called positive, the share that are",
    "classification_recall": "of the positive examples, the share that were found",
    "classification_auroc": "area under the ROC curve",
    "classification_auprc": "area under the precision-recall curve (average precision)",
    "classification_f1_0": "harmonic mean of precision and recall; with another beta the name says so (f0_5, f2_0)",
    "classification_weighted_precision": "precision of each class, averaged by the classes' sizes",
    "classification_weighted_recall": "recall of each class, averaged by the classes' sizes",
    "classification_weighted_f1_score": "F1 of each class, averaged by the classes' sizes",
}
# Other names for them in files: today's, then the old API's.
FILE_NAMES = {
    "train_mean_token_accuracy": "train_accuracy",
    "valid_mean_token_accuracy": "valid_accuracy",
    "validation_mean_token_accuracy": "valid_accuracy",
    "full_valid_mean_token_accuracy": "full_valid_accuracy",
    "training_loss": "train_loss",
    "training_token_accuracy": "train_accuracy",
    "training_sequence_accuracy": "train_sequence_accuracy",
    "validation_loss": "valid_loss",
    "validation_token_accuracy": "valid_accuracy",
    "validation_sequence_accuracy": "valid_sequence_accuracy",
}


def results(client: openai.OpenAI, job: FineTuningJob | str) -> pd.DataFrame:
    """A row for each step of a job that succeeded, with the columns of its result file under the names of COLUMNS.

    `attrs["method"]` is the job's method, which says what loss and accuracy are about.
    """
    if isinstance(job, str):
        job = client.fine_tuning.jobs.retrieve(job)
    if not job.result_files:
        raise ValueError(f"{job.id} has no result file: it is {job.status!r}, and only a job that succeeded has one")
    table = read_results(client.files.content(job.result_files[0]).read(), n_epochs=_n_epochs(job))
    table.attrs["method"] = job.method.type if job.method else "supervised"
    return table


def read_results(content: bytes, *, n_epochs: int | None = None) -> pd.DataFrame:
    """The table in a result file: CSV, plain or base64-encoded, with today's column names or the old API's.

    Columns that COLUMNS does not know are kept, under tidy names, and empty ones stay empty. With `n_epochs` a file that
    does not tell the epochs gets the column: each epoch has the same number of steps. Raises FormatError.
    """
    try:
        table = pd.read_csv(io.BytesIO(_plain(content)), encoding="utf-8-sig", skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FormatError(f"the result file is no CSV: {error}") from error
    table.columns = _names(list(table.columns))
    for name in table.columns.intersection(list(COLUMNS)):
        table[name] = _numbers(table[name])
    if "step" not in table or table["step"].isna().any():
        raise FormatError(f"the result file must have a step in every row; its columns are {', '.join(table.columns)}: "
                          "is it the result file of a job?", field="step")
    table = table.astype({"step": int}).sort_values("step", kind="stable", ignore_index=True)
    return _with_epochs(table, n_epochs)


def _plain(content: bytes) -> bytes:
    # A header has commas, and base64 has none.
    if b"," in content:
        return content
    try:
        decoded = base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        decoded = b""
    if b"," not in decoded:
        raise FormatError(f"neither CSV nor base64: the result file begins {content[:40]!r}")
    return decoded


def _names(given: list[str]) -> list[str]:
    """Tidy names. Where two columns mean the same, the second keeps a name of its own."""
    names: list[str] = []
    for raw in given:
        name = re.sub(r"[^a-z0-9]+", "_", str(raw).lower()).strip("_")
        known = FILE_NAMES.get(name, name)
        names.append(name if known in names else known)
    return names


def _numbers(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        wrong = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
        raise FormatError(f"expected numbers in the column {column.name!r}, met {wrong.iloc[0]!r} in row {wrong.index[0] + 1}",
                          field=str(column.name)) from None


def _with_epochs(table: pd.DataFrame, n_epochs: int | None) -> pd.DataFrame:
    if "epoch" in table:
        epochs = np.ceil(table.pop("epoch"))  # some write 0.25 for a quarter of the first
        table.insert(1, "epoch", epochs.astype(int) if epochs.notna().all() else epochs)
    elif n_epochs and len(table):
        # In whole numbers: ceil(step x n_epochs / last step) without its errors of rounding.
        table.insert(1, "epoch", -(-table["step"] * n_epochs // table["step"].iloc[-1]))
    return table


def _n_epochs(job: FineTuningJob) -> int | None:
    """What the job says, in today's place or the older one; None while that is "auto"."""
    method = job.method.to_dict() if job.method else {}
    place = (method.get(method.get("type", "")) or {}).get("hyperparameters") or {}
    older = job.hyperparameters.to_dict() if job.hyperparameters else {}
    found = place.get("n_epochs", older.get("n_epochs"))
    return found if isinstance(found, int) else None
