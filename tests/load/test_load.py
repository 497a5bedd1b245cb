"""The scripts of this folder, for some seconds instead of minutes; and that what they look for would be found."""

import argparse
import random
import shutil
import sqlite3
import sys
from pathlib import Path

import openai
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tests' folder is not installed
from local_api.store import Store
from tests.load import checks, crowd
from tests.load.kill_day import live_through
from tests.load.visitor import Board, Visitor


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The folder of a day with two kills, who lived through it, and what did not hold."""
    folder = tmp_path_factory.mktemp("day")
    killer, lived, found = live_through(folder, kills=2, seed=3, pupils=2)
    return folder / "data", killer, lived, found


def test_two_kills_on_a_short_day_leave_everything_whole(day):
    _, killer, lived, found = day
    assert found == []
    assert sum(killer.struck.values()) == 2 and lived.done().total() >= 2
    assert all(pupil.ledger.files for pupil in lived.pupils), "each has been promised something"


SUCCEEDED = "(select id from jobs where status = 'succeeded' limit 1)"


@pytest.mark.parametrize(("harm", "told"), [
    ("delete from events where type = 'metrics' and job_id = {job} and message like 'Step 2/%'", "told were"),
    ("delete from events where job_id = {job} and message = 'The job has successfully completed'", "and its last event is"),
    ("insert into events (id, job_id, key, created_at, level, type, message) select 'x', job_id, 'x', 0, 'info', 'message', message "
     "from events where job_id = {job} and message like 'New fine-tuned%'", "tells twice"),
    ("delete from steps where job_id = {job} and step > 3", "told were"),
    ("update jobs set status = 'running' where id = {job}", "is still running"),
    ("update jobs set result_file = null where id = {job}", "without a model or a result file"),
    ("delete from models where job_id = {job}", "and no row needs it"),
    ("update files set sha256 = 'gone'", "which is not there"),
    ("update events set job_id = 'nobody' where job_id = {job}", "foreign key")])
def test_harm_to_the_database_is_found(day, tmp_path, harm, told):
    data_dir = shutil.copytree(day[0], tmp_path / "data")
    with sqlite3.connect(data_dir / "local_api.sqlite3") as connection:
        assert connection.execute(f"select {SUCCEEDED}").fetchone()[0], "a job of that day has succeeded"
        connection.execute(harm.format(job=SUCCEEDED))
    connection.close()
    assert any(told in fault for fault in checks.faults(data_dir))


@pytest.mark.parametrize(("harm", "told"), [
    (lambda folder: next((folder / "files").iterdir()).unlink(), "which is not there"),
    (lambda folder: next((folder / "files").iterdir()).write_bytes(b"other"), "holds something else"),
    (lambda folder: (folder / "adapters" / "stray").mkdir(), "adapters/stray is there, and no row needs it"),
    (lambda folder: (folder / "incoming" / "half").touch(), "incoming/half is there, and no row needs it"),
    (lambda folder: (folder / "work" / "ftjob-x").mkdir(parents=True), "work/ftjob-x is there, and no row needs it")])
def test_harm_to_the_folders_is_found(day, tmp_path, harm, told):
    data_dir = shutil.copytree(day[0], tmp_path / "data")
    harm(data_dir)
    assert any(told in fault for fault in checks.faults(data_dir))


@pytest.fixture
def turns(tmp_path):
    """What is unfair in a queue: (project, queued, begun) of jobs."""
    store = Store(tmp_path / "data", clock=lambda: 0.0)

    def found(*jobs):
        with store.db.transaction() as connection:
            for project, queued, begun in jobs:
                job = store.jobs.add(project, model="m", base_model="m", training_file="f", training_sha256="0", seed=1,
                                     method="supervised", requested={})
                connection.execute("update jobs set queued_at = ?, started_at = ? where id = ?", (queued, begun, job["id"]))
        return list(checks.unfair(store.db.connection))
    yield found
    store.close()


def test_three_turns_in_a_row_while_another_project_waits_are_found(turns):
    [told] = turns(("ann", 0, 1), ("ann", 0, 2), ("ann", 0, 3), ("bob", 0.5, 4))
    assert told.startswith("ann had three turns") and told.endswith("while bob waited")


def test_turns_in_a_row_are_fair_where_nobody_waits_or_everybody_has_had_one(turns):
    assert turns(("ann", 0, 1), ("ann", 0, 2), ("ann", 0, 3), ("bob", 1.5, 4), ("cat", 0, 2.6), ("cat", 0, 5)) == []


def test_five_clients_do_not_see_each_other_and_none_fails(tmp_path):
    options = argparse.Namespace(clients=5, seconds=0, jobs=0, engine="mock", pause=0.1, seed=1)
    board, found, _ = crowd.run(tmp_path, options)
    assert found == []
    assert board.ended == {"succeeded": 5} and set(board.owners.values()) == set(range(5))
    assert "| all |" in crowd.latencies(board)


def test_two_clients_have_their_jobs_trained_in_turn(tmp_path):
    options = argparse.Namespace(clients=2, seconds=0, jobs=1, engine="mock", pause=0, seed=1)
    board, found, told = crowd.run(tmp_path, options)
    assert (found, board.ended) == ([], {"succeeded": 2})
    assert told.count("| succeeded |") == 2


def test_a_word_or_an_id_of_another_project_is_noticed():
    board = Board()
    ann, bob = (Visitor(openai.AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:1"), number=number, board=board,
                        chance=random.Random(0), pause=0) for number in range(2))
    ann.watch("list files", '{"id": "file-aaaaaaaaaaaaaaaaaaaaaaaa", "filename": "zq000x.jsonl"}')
    ann.watch("list files", '{"id": "file-aaaaaaaaaaaaaaaaaaaaaaaa"}')
    assert board.crossed == []
    bob.watch("list files", '{"id": "file-aaaaaaaaaaaaaaaaaaaaaaaa", "filename": "zq000x.jsonl"}')
    assert board.crossed == ["list files of 1 shows the word zq000x", "list files of 1 shows file-aaaaaaaaaaaaaaaaaaaaaaaa of 0"]
