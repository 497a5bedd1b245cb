"""The result file and the figures of metrics events, against golden text."""

import base64
import csv
import io

import pytest

from local_api.worker.results import metrics, results_csv, results_file

NONE = dict.fromkeys(("valid_loss", "valid_accuracy", "full_valid_loss", "full_valid_accuracy"))


def report(step: int, **overrides: float | None) -> dict[str, float | None]:
    return {"step": step, "train_loss": 1.23456789, "train_accuracy": 0.5, "elapsed_tokens": 100, **NONE, **overrides}


def test_a_row_for_each_step_with_empty_cells_where_nothing_was_measured():
    text = results_csv([report(1), report(2, valid_loss=0.25, valid_accuracy=1.0)])
    assert text == ("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
                    "1,1.23457,0.50000,,\n"
                    "2,1.23457,0.50000,0.25000,1.00000\n")


def test_at_the_end_of_an_epoch_the_whole_validation_file_counts():
    text = results_csv([report(1, valid_loss=9.0, valid_accuracy=0.9, full_valid_loss=0.0, full_valid_accuracy=0.75)])
    assert text.splitlines()[1] == "1,1.23457,0.50000,0.00000,0.75000"


def test_without_a_step_there_is_a_header_alone():
    assert results_csv([]) == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"


def test_the_file_is_the_csv_in_base64():
    reports = [report(1), report(2)]
    assert base64.b64decode(results_file(iter(reports)), validate=True).decode() == results_csv(reports)


def test_figures_carry_their_names_on_the_wire_and_only_those_that_are_there():
    assert metrics(report(3)) == {"step": 3, "train_loss": 1.23457, "train_mean_token_accuracy": 0.5}
    whole = report(4, valid_loss=0.1, valid_accuracy=0.2, full_valid_loss=0.0, full_valid_accuracy=0.4)
    assert metrics(whole) == {"step": 4, "train_loss": 1.23457, "train_mean_token_accuracy": 0.5, "valid_loss": 0.1,
                              "valid_mean_token_accuracy": 0.2, "full_valid_loss": 0.0, "full_valid_mean_token_accuracy": 0.4}


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_diverged_loss_never_reaches_json_and_is_plain_in_the_file(loss):
    assert metrics(report(1, train_loss=loss)) == {"step": 1, "train_mean_token_accuracy": 0.5}
    row = next(csv.DictReader(io.StringIO(results_csv([report(1, train_loss=loss)]))))
    assert row["train_loss"] == str(loss)
