"""Result files of every kind become the same table."""

import base64

import httpx2
import pandas as pd
import pytest

from helpers.errors import FormatError
from helpers.result_files import COLUMNS, FILE_NAMES, read_results, results

TODAY = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.1,,\n2,1.5,0.4,1.75,0.35\n"
OLD = (b"step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,training_token_accuracy,"
       b"validation_loss,validation_sequence_accuracy,validation_token_accuracy,classification/accuracy\n"
       b"1,100,8,2.5,0.0,0.1,,,,\n2,200,16,1.5,0.25,0.4,1.75,0.125,0.35,0.5\n")
HOSTED = (b"\xef\xbb\xbfstep,train_loss,train_mean_token_accuracy,valid_loss,validation_mean_token_accuracy,"
          b"full_valid_loss,full_valid_mean_token_accuracy\r\n1,2.5,0.1,,,,\r\n2,1.5,0.4,1.75,0.35,1.7,0.3\r\n")


@pytest.fixture
def finished(client_of, scripted_job):
    """A client to whom a succeeded job has the result file `content`; `facts` are the job's."""
    def make(content=TODAY, **facts):
        job = scripted_job([("succeeded", [])], result_files=["file-2"], **facts)

        def handler(request):
            return httpx2.Response(200, content=content) if "/files/file-2/content" in request.url.path else job(request)
        return client_of(handler)
    return make


@pytest.mark.parametrize("encode", [bytes, base64.b64encode, base64.encodebytes])
@pytest.mark.parametrize("content", [TODAY, OLD, HOSTED])
def test_every_form_encoded_or_not_gives_the_same_columns(content, encode):
    table = read_results(encode(content))
    assert set(table.columns) <= set(COLUMNS)
    assert table["train_loss"].tolist() == [2.5, 1.5] and table["train_accuracy"].tolist() == [0.1, 0.4]
    assert table["valid_loss"].isna().tolist() == [True, False] and table["valid_accuracy"][1] == 0.35
    if content is OLD:
        assert table["valid_sequence_accuracy"][1] == 0.125 and table["classification_accuracy"][1] == 0.5
    if content is HOSTED:
        assert table["full_valid_loss"][1] == 1.7 and table["full_valid_accuracy"][1] == 0.3


def test_columns_that_nobody_knows_are_kept_under_tidy_names():
    table = read_results(b' step , Train Loss,GPU-hours,note,classification/f0.5\n1,2.5,0.1,slow,0.75\n')
    assert list(table.columns) == ["step", "train_loss", "gpu_hours", "note", "classification_f0_5"]
    assert table.loc[0].tolist() == [1, 2.5, 0.1, "slow", 0.75]


def test_missing_and_empty_columns_are_no_error():
    table = read_results(b"step,train_loss,valid_loss\n1,2.5,\n2,1.5,\n")
    assert table["valid_loss"].isna().all() and table["valid_loss"].dtype == float
    assert list(read_results(b"step,train_loss\n").columns) == ["step", "train_loss"]


def test_of_two_columns_that_mean_the_same_the_second_keeps_its_name():
    table = read_results(b"step,train_accuracy,train_mean_token_accuracy\n1,0.5,0.25\n")
    assert table.loc[0].to_dict() == {"step": 1, "train_accuracy": 0.5, "train_mean_token_accuracy": 0.25}


def test_steps_come_in_order_and_as_whole_numbers():
    table = read_results(b"step,train_loss\n3.0,1\n1.0,3\n2.0,2\n")
    assert table["step"].tolist() == [1, 2, 3] and table["step"].dtype.kind == "i" and table["train_loss"].tolist() == [3, 2, 1]


def test_a_diverged_loss_is_read_as_what_it_is():
    table = read_results(b"step,train_loss\n1,nan\n2,inf\n")
    assert table["train_loss"].isna()[0] and table["train_loss"][1] == float("inf")


@pytest.mark.parametrize(("content", "complaint"), [
    (b"<html>", "neither CSV nor base64: the result file begins b'<html>'"),
    (b"", "neither CSV nor base64"),
    (base64.b64encode(b"no table"), "neither CSV nor base64"),
    (b"a,b\n1,2\n", "must have a step in every row; its columns are a, b"),
    (b"step,train_loss\n1,2\n,3\n", "must have a step in every row"),
    (b'step,train_loss\n1,"2\n', "the result file is no CSV"),
    (b"step,train_loss\n1,2\n2,n/k\n", "expected numbers in the column 'train_loss', met 'n/k' in row 2"),
    (b"step,\xff\n1,2\n", "the result file is no CSV"),
])
def test_what_is_no_result_file_is_refused_with_the_reason(content, complaint):
    with pytest.raises(FormatError) as caught:
        read_results(content)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(("last", "n_epochs", "epochs"), [
    (6, 3, [1, 1, 2, 2, 3, 3]), (6, 1, [1] * 6), (5, 2, [1, 1, 2, 2, 2]), (6, None, None)])
def test_epochs_are_told_from_their_number_and_the_last_step(last, n_epochs, epochs):
    content = b"step,train_loss\n" + b"".join(b"%d,1\n" % step for step in range(1, last + 1))
    table = read_results(content, n_epochs=n_epochs)
    assert ("epoch" in table) == (epochs is not None)
    if epochs:
        assert list(table.columns[:2]) == ["step", "epoch"] and table["epoch"].tolist() == epochs


def test_every_step_of_a_long_run_falls_into_its_epoch():
    table = read_results(b"step,train_loss\n" + b"".join(b"%d,1\n" % step for step in range(1, 12 * 49 + 1)), n_epochs=12)
    assert table["epoch"].tolist() == [(step - 1) // 49 + 1 for step in range(1, 12 * 49 + 1)]


def test_the_files_own_epochs_count_and_fractions_of_one_belong_to_it():
    table = read_results(b"step,epoch,train_loss\n1,0.5,3\n2,1.0,2\n3,1.5,1\n4,2.0,1\n", n_epochs=7)
    assert table["epoch"].tolist() == [1, 1, 2, 2] and table["epoch"].dtype.kind == "i"


@pytest.mark.parametrize("facts", [
    {"hyperparameters": {"n_epochs": 2}},
    {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}},
    {"method": {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2}}}, "hyperparameters": {"n_epochs": "auto"}}])
def test_results_know_the_epochs_from_the_job(finished, facts):
    assert results(finished(**facts), "ftjob-1")["epoch"].tolist() == [1, 2]


@pytest.mark.parametrize("facts", [{}, {"hyperparameters": {"n_epochs": "auto"}}, {"method": {"type": "supervised"}}])
def test_results_of_a_job_that_does_not_tell_its_epochs_have_none(finished, facts):
    assert "epoch" not in results(finished(**facts), "ftjob-1")


def test_results_take_a_job_or_its_id(finished):
    client = finished()
    by_id = results(client, "ftjob-1")
    pd.testing.assert_frame_equal(by_id, results(client, client.fine_tuning.jobs.retrieve("ftjob-1")))
    assert len(by_id) == 2


@pytest.mark.parametrize(("facts", "method"), [({}, "supervised"), ({"method": {"type": "dpo"}}, "dpo")])
def test_results_tell_the_method(finished, facts, method):
    assert results(finished(**facts), "ftjob-1").attrs["method"] == method


def test_a_job_without_results_says_why(client_of, scripted_job):
    with pytest.raises(ValueError, match="ftjob-1 has no result file: it is 'running'"):
        results(client_of(scripted_job([("running", [])])), "ftjob-1")


def test_every_other_name_leads_to_a_column_that_is_defined():
    assert set(FILE_NAMES.values()) <= set(COLUMNS) and not set(FILE_NAMES) & set(COLUMNS)
