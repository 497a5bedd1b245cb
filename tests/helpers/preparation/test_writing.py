"""Where the result goes, and what stands in it."""

import pytest

from helpers.errors import FormatError
from helpers.jsonl import read_jsonl
from helpers.preparation import prepare
from helpers.preparation.advice import next_steps, size_of
from helpers.preparation.writing import output_paths, write

from .made import chats, pairs, table_of


def test_the_result_stands_beside_the_input_or_where_it_is_wanted(tmp_path):
    source = tmp_path / "a.csv"
    assert output_paths(source, None, split=False) == [tmp_path / "a_prepared.jsonl"]
    assert [path.name for path in output_paths(source, None, split=True)] == ["a_prepared_train.jsonl", "a_prepared_valid.jsonl"]
    assert output_paths(source, tmp_path, split=False) == [tmp_path / "a_prepared.jsonl"]
    assert [path.name for path in output_paths(source, tmp_path / "b.txt", split=True)] == ["b_train.txt", "b_valid.txt"]


def test_the_input_is_never_written_to(tmp_path):
    source, link = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_text("{}")
    link.hardlink_to(source)
    for out in (source, tmp_path / ".." / tmp_path.name / "a.jsonl", link):
        with pytest.raises(FormatError, match="this is the input"):
            output_paths(source, out, split=False)


def test_rows_are_written_as_they_are(tmp_path, read_of):
    for table in (table_of([*pairs(3), {"prompt": "a\u2028ß", "completion": 10**40}]), read_of(chats(3))):
        assert read_jsonl(write(table, tmp_path / "out.jsonl")) == list(table.rows())


def test_the_next_steps_name_the_files_the_markers_and_the_hyperparameters(tmp_path):
    outcome = prepare(table_of(pairs(200)))
    steps = next_steps(outcome.look, [tmp_path / "my train.jsonl", tmp_path / "v.jsonl"], model="gpt-4.1-mini")
    assert steps.command.startswith(f"cookbook fine-tunes create -t '{tmp_path}/my train.jsonl' -v {tmp_path}/v.jsonl -m gpt-4.1-mini")
    assert steps.command.endswith("--n-epochs 4 --learning-rate-multiplier 0.1 --compute-classification-metrics")
    assert steps.reminders == ['End the prompt of every request with "\\n\\n###\\n\\n", exactly as here.',
                               "Ask with max_tokens=1: the first token tells the class."]
    compile(steps.python, "next steps", "exec")


def test_a_small_file_is_read_more_often(tmp_path):
    epochs = [next_steps(prepare(table_of(pairs(rows))).look, [tmp_path / "a.jsonl"]).hyperparameters["n_epochs"]
              for rows in (12, 40, 300)]
    assert epochs == [25, 14, 4]


def test_the_size_is_that_of_the_rows_one_by_one(read_of):
    from helpers.tokens import count_row
    for table in (table_of(pairs(12)), read_of(chats(12))):
        size = size_of(table, "gpt-4.1", 3)
        counts = [count_row(row, "gpt-4.1") for row in table.rows()]
        assert (size.tokens, size.longest, size.trained_tokens) == (sum(counts), max(counts), 3 * sum(counts))
