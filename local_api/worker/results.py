"""The result file: a row for each training step, every figure from the model's own predictions.

Columns, as the hosted service names them: step, train_loss, train_accuracy, valid_loss, valid_mean_token_accuracy; those of the
old API are others. Classification metrics follow where a job asked for them. A cell is empty where a step had no validation.
"""

import base64
import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = {"step": "step", "train_loss": "train_loss", "train_accuracy": "train_accuracy", "valid_loss": "valid_loss",
           "valid_mean_token_accuracy": "valid_accuracy"}
OLD_COLUMNS = {"step": "step", "elapsed_tokens": "elapsed_tokens", "elapsed_examples": "elapsed_examples",
               "training_loss": "train_loss", "training_sequence_accuracy": "train_sequence_accuracy",
               "training_token_accuracy": "train_accuracy"}
OLD_VALIDATION = {"validation_loss": "valid_loss", "validation_sequence_accuracy": "valid_sequence_accuracy",
                  "validation_token_accuracy": "valid_accuracy"}
DIGITS = 5


def old_columns(reports: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The old API leaves out what no step has."""
    return OLD_COLUMNS | (OLD_VALIDATION if any(report.get("valid_loss") is not None for report in reports) else {})


def results_csv(reports: Sequence[Mapping[str, Any]], columns: Mapping[str, str] = COLUMNS) -> str:
    """The CSV text of a job's step reports. At an epoch's end the validation cells are those of the whole file.

    `columns`: name in the file -> name in the report.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    classification = next((list(report["classification"]) for report in reports if report.get("classification")), [])
    writer.writerow([*columns, *classification])
    for report in reports:
        whole = {name.removeprefix("full_"): value for name, value in report.items()
                 if name.startswith("full_") and value is not None}
        row = {**report, **whole, **(report.get("classification") or {})}
        writer.writerow([cell(row.get(name)) for name in [*columns.values(), *classification]])
    return buffer.getvalue()


def cell(value: float | None) -> str | int:
    if value is None:
        return ""
    return value if isinstance(value, int) else f"{value:.{DIGITS}f}"


def results_file(reports: Sequence[Mapping[str, Any]], api: str = "fine_tuning") -> tuple[str, bytes]:
    """Name and content of the result file: base64 of the CSV, as the hosted service returns it; in the old API the CSV itself."""
    if api == "fine_tuning":
        return "step_metrics.csv", base64.b64encode(results_csv(reports).encode())
    return "compiled_results.csv", results_csv(reports, old_columns(reports)).encode()


def metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a step under their names on the wire: those of metrics events and checkpoints."""
    names = {"train_loss": "train_loss", "train_mean_token_accuracy": "train_accuracy", "valid_loss": "valid_loss",
             "valid_mean_token_accuracy": "valid_accuracy", "full_valid_loss": "full_valid_loss",
             "full_valid_mean_token_accuracy": "full_valid_accuracy"}
    # A diverged run has a loss that is no number: JSON has no word for it, so it is left out.
    found = {name: report[source] for name, source in names.items()
             if report.get(source) is not None and math.isfinite(report[source])}
    found |= {name: value for name, value in (report.get("classification") or {}).items() if value is not None}
    return {"step": report["step"], **{name: round(value, DIGITS) for name, value in found.items()}}
