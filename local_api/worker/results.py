"""The result file: a row for each training step, every figure from the model's own predictions.

Columns, as the hosted service names them: step, train_loss, train_accuracy, valid_loss, valid_mean_token_accuracy. A cell
is empty where a step had no validation.
"""

import base64
import csv
import io
import math
from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = {"step": "step", "train_loss": "train_loss", "train_accuracy": "train_accuracy", "valid_loss": "valid_loss",
           "valid_mean_token_accuracy": "valid_accuracy"}
DIGITS = 5


def results_csv(reports: Iterable[Mapping[str, Any]]) -> str:
    """The CSV text of a job's step reports. At an epoch's end the validation cells are those of the whole file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        whole = {name.removeprefix("full_"): value for name, value in report.items()
                 if name.startswith("full_") and value is not None}
        row = {**report, **whole}
        writer.writerow([cell(row.get(name)) for name in COLUMNS.values()])
    return buffer.getvalue()


def cell(value: float | None) -> str | int:
    if value is None:
        return ""
    return value if isinstance(value, int) else f"{value:.{DIGITS}f}"


def results_file(reports: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of the result file: base64 of the CSV, as the hosted service returns it."""
    return base64.b64encode(results_csv(reports).encode())


def metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a step under their names on the wire: those of metrics events and checkpoints."""
    names = {"train_loss": "train_loss", "train_mean_token_accuracy": "train_accuracy", "valid_loss": "valid_loss",
             "valid_mean_token_accuracy": "valid_accuracy", "full_valid_loss": "full_valid_loss",
             "full_valid_mean_token_accuracy": "full_valid_accuracy"}
    # A diverged run has a loss that is no number: JSON has no word for it, so it is left out.
    found = {name: report[source] for name, source in names.items()
             if report.get(source) is not None and math.isfinite(report[source])}
    return {"step": report["step"], **{name: round(value, DIGITS) for name, value in found.items()}}
