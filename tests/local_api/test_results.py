"""The result file and the figures of metrics events, against golden text."""

import base64
import csv
import io

import pytest

from helpers.result_files import COLUMNS, read_results
from local_api.engines.lora.metrics import Tally
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
    name, content = results_file(reports)
    assert name == "step_metrics.csv" and base64.b64decode(content, validate=True).decode() == results_csv(reports)


OLD = {"elapsed_examples": 8, "train_sequence_accuracy": 0.25}


def test_the_old_api_has_columns_of_its_own_and_plain_text():
    assert results_file([report(1, **OLD)], "fine-tunes") == ("compiled_results.csv", (
        b"step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,training_token_accuracy\n"
        b"1,100,8,1.23457,0.25000,0.50000\n"))


def test_the_old_api_adds_columns_of_validation_where_there_is_some():
    steps = [report(1, **OLD), report(2, **OLD, valid_loss=9.0, valid_accuracy=0.9, full_valid_loss=0.5, full_valid_accuracy=0.75,
                                      full_valid_sequence_accuracy=0.125)]
    header, first, second = results_file(steps, "fine-tunes")[1].decode().splitlines()
    assert header.split(",")[6:] == ["validation_loss", "validation_sequence_accuracy", "validation_token_accuracy"]
    assert first.split(",")[6:] == ["", "", ""] and second.split(",")[6:] == ["0.50000", "0.12500", "0.75000"]


@pytest.mark.parametrize("api", ["fine_tuning", "fine-tunes"])
def test_classification_metrics_are_the_last_columns_and_empty_where_undefined(api):
    figures = {"classification/accuracy": 0.5, "classification/auroc": None}
    content = results_file([report(1, **OLD), {**report(2, **OLD), "classification": figures}], api)[1]
    lines = (base64.b64decode(content) if api == "fine_tuning" else content).decode().splitlines()
    assert [line.split(",")[-2:] for line in lines] == [["classification/accuracy", "classification/auroc"], ["", ""], ["0.50000", ""]]


def test_classification_metrics_are_told_with_the_steps_figures():
    told = metrics({**report(3), "classification": {"classification/accuracy": 0.123456789, "classification/auroc": None}})
    assert told == {"step": 3, "train_loss": 1.23457, "train_mean_token_accuracy": 0.5, "classification/accuracy": 0.12346}


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


def test_the_guides_worked_example_stands_in_the_file_as_the_guide_computes_it():
    tally = Tally.of(predictions=[[1, 1], [0, 5], [4, 2]], targets=[[1, 2], [0, 5], [4, 2]])  # as the engine counts a batch
    step = report(1, elapsed_examples=3, train_accuracy=tally.token_accuracy, train_sequence_accuracy=tally.sequence_accuracy)
    row = next(csv.DictReader(io.StringIO(results_file([step], "fine-tunes")[1].decode())))
    assert float(row["training_sequence_accuracy"]) == pytest.approx(2 / 3, abs=1e-5)
    assert float(row["training_token_accuracy"]) == pytest.approx(5 / 6, abs=1e-5)


def test_readers_find_the_same_figures_under_the_same_names_whichever_api_made_the_job():
    steps = [report(1, **OLD), report(2, **OLD, valid_loss=9.0, valid_accuracy=0.9, valid_sequence_accuracy=0.5)]
    today, old = (read_results(results_file(steps, api)[1]) for api in ("fine_tuning", "fine-tunes"))
    shared = ["step", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy"]
    assert list(today.columns) == shared and today.equals(old[shared])
    assert old["valid_sequence_accuracy"][1] == 0.5


@pytest.mark.parametrize("names", [
    ["accuracy", "precision", "recall", "auroc", "auprc", "f1.0"],
    ["accuracy", "weighted_precision", "weighted_recall", "weighted_f1_score"]])
def test_every_column_that_is_written_is_defined_for_readers(names):
    last = {**report(1, **OLD, valid_loss=1.0), "classification": {f"classification/{name}": 0.5 for name in names}}
    for api in ("fine_tuning", "fine-tunes"):
        assert set(read_results(results_file([last], api)[1], n_epochs=1).columns) <= set(COLUMNS)
