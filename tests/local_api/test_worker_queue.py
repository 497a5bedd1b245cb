"""The worker: what it takes up, what it does when a child, the database or the machine fails it."""

import json
import logging
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from local_api.settings import Settings
from local_api.worker import queue
from local_api.worker.queue import Worker
from local_api.worker.run_job import INTERNAL_ERROR


@pytest.fixture
def worker(store, engine, tmp_path, monkeypatch):
    """A worker whose retries do not wait, and which is stopped if a test started it."""
    monkeypatch.setattr(queue, "RETRY_SECONDS", 0.001)
    made = Worker(Settings(data_dir=store.data_dir, cache_dir=tmp_path, engine="mock", mock_step_seconds=0.5), store, engine)
    yield made
    if any(thread.is_alive() for thread in made._threads):
        made.stop()


@pytest.fixture
def child(monkeypatch):
    """Children run this code instead of a training run; each one that was started is remembered."""
    started, Popen = [], subprocess.Popen

    def use(code):
        def start(command, **options):
            started.append(Popen([sys.executable, "-S", "-c", code, *command[3:]], **options))
            return started[-1]
        monkeypatch.setattr(queue.subprocess, "Popen", start)
        return started
    yield use
    for process in started:
        process.kill()
        process.wait()


WAITS = "import sys; sys.stdin.buffer.read()"


def status(store, job):
    return store.jobs.get("default", job["id"])["status"]


def leave_work(store, job):
    store.work_dir(job["id"]).mkdir(parents=True)
    (store.work_dir(job["id"]) / "state").touch()


def test_jobs_that_a_dead_server_left_running_are_queued_again_in_their_old_place(store, worker, make_job, clock, messages):
    fresh, begun = make_job("running"), make_job("running")
    clock.now += 10
    store.steps.add(begun["id"], 1, {"step": 1})
    worker.recover()
    for job in (fresh, begun):
        after = store.jobs.get("default", job["id"])
        assert (after["status"], after["claim"], after["queued_at"]) == ("queued", None, job["queued_at"])
    assert messages(begun["id"])[-1] == "The server was restarted; the job goes on from its last checkpoint"
    assert messages(fresh["id"])[-1].startswith("Created"), "it has no checkpoint to go on from"


def test_a_start_leaves_what_is_needed_and_sweeps_the_rest(store, worker, make_job, make_file):
    kept, gone = make_job("paused"), make_job("failed")
    for job in (kept, gone):
        leave_work(store, job)
    (store.data_dir / "work" / ".DS_Store").touch()
    needed = make_file(b"needed")
    (store.contents.files / "stray").touch()
    worker.recover()
    assert store.work_dir(kept["id"]).exists() and not store.work_dir(gone["id"]).exists()
    assert {path.name for path in store.contents.files.iterdir()} == {needed["sha256"], kept["training_sha256"]}


def test_there_is_nothing_to_do_in_an_empty_queue(worker):
    assert worker._validate_next() is False and worker._train_next() is False


def test_validation_goes_in_order_and_calls_the_trainer(store, worker, make_job, engine):
    first, second = make_job(), make_job()
    assert worker._validate_next() is True
    assert (status(store, first), status(store, second)) == ("queued", "validating_files") and worker._news[1].is_set()


def test_validation_takes_projects_in_turn(store, worker, make_job):
    jobs = [make_job(project=project) for project in ("ann", "ann", "ann", "bob")]
    for _ in range(2):
        worker._validate_next()
    assert [store.jobs.current(job["id"])["status"] == "queued" for job in jobs] == [True, False, False, True]


def test_a_full_disk_ends_the_job_with_that_reason(store, worker, make_job):
    job = make_job("running")
    worker._after_crash(job, 28)
    error = json.loads(store.jobs.get("default", job["id"])["error"])
    assert error["code"] == "disk_full" and "free some space" in error["message"]


def test_a_bug_in_validation_fails_the_job_and_goes_on_with_the_next(store, worker, make_job, engine, messages, caplog):
    def crash(example):
        raise ZeroDivisionError("a bug")
    job, engine.words.before = make_job(), crash
    assert worker._validate_next() is True
    assert status(store, job) == "failed" and messages(job["id"])[-1] == f"The job failed: {INTERNAL_ERROR}"
    assert "a bug" in caplog.text and worker._validate_next() is False


def test_a_busy_database_is_no_fault_of_the_job(store, worker, make_job, engine):
    def busy(example):
        raise sqlite3.OperationalError("database is locked")
    job, engine.words.before = make_job(), busy
    with pytest.raises(sqlite3.OperationalError):
        worker._validate_next()
    assert status(store, job) == "validating_files"


@pytest.mark.parametrize("code", [-signal.SIGKILL, 1])
def test_a_child_that_dies_by_itself_is_tried_again_and_then_given_up(store, worker, make_job, messages, code):
    job = make_job("running")
    store.steps.add(job["id"], 1, {"step": 1})
    reason = "SIGKILL" if code < 0 else "status 1"
    for crashes in (1, 2):
        worker._after_crash(store.jobs.get("default", job["id"]), code)
        after = store.jobs.get("default", job["id"])
        assert (after["status"], after["crashes"]) == ("queued", crashes)
        assert messages(job["id"])[-1] == f"The training process died ({reason}); the job goes on from its last checkpoint"
        store.jobs.claim()
    worker._after_crash(store.jobs.get("default", job["id"]), code)
    error = json.loads(store.jobs.get("default", job["id"])["error"])
    assert error["code"] == "training_process_died" and f"3 times in a row without a step done (last: {reason})" in error["message"]


@pytest.mark.parametrize("crashes", [0, 2])
@pytest.mark.parametrize("taken", ["paused", "cancelled", "queued"])
def test_what_the_owner_did_while_the_child_died_stands(store, worker, make_job, messages, taken, crashes):
    job = make_job("running")
    store.jobs.note_crash(job["id"], crashes)
    seen = store.jobs.get("default", job["id"])
    store.jobs.move(job["id"], taken)
    told = messages(job["id"])
    worker._after_crash(seen, 1)
    assert status(store, job) == taken and messages(job["id"]) == told


def test_the_child_gets_its_job_its_claim_and_the_settings(worker, make_job, child, tmp_path, store):
    job = make_job("running")
    child(f"import sys, pathlib; pathlib.Path({str(tmp_path / 'seen')!r}).write_bytes(' '.join(sys.argv[1:]).encode() + b'|' "
          "+ sys.stdin.buffer.readline()); sys.exit(7)")
    assert worker._run_child(job) == 7
    arguments, settings = (tmp_path / "seen").read_text().split("|")
    assert arguments == f"{job['id']} {job['claim']}"
    assert json.loads(settings) == {"data_dir": str(store.data_dir), "cache_dir": str(tmp_path), "engine": "mock",
                                    "organization": "local", "options": {"step_seconds": 0.5}, "log": "text"}


@pytest.mark.parametrize("taken", ["cancelled", "paused", "queued"])
def test_the_child_is_killed_when_the_job_is_no_longer_its_own(store, worker, make_job, child, taken):
    started, job = child(WAITS), make_job("running")
    store.jobs.move(job["id"], taken)
    assert worker._run_child(job) == -signal.SIGKILL and started[0].stdin.closed


def test_the_child_that_ended_its_job_may_leave_by_itself(store, worker, make_job, child):
    job = make_job("running")
    store.jobs.move(job["id"], "succeeded", claim=job["claim"])
    child("import sys; sys.stdin.buffer.readline(); sys.exit(0)")
    assert worker._run_child(job) == 0


def test_a_child_that_dies_before_it_read_a_word_is_no_error_of_the_server(worker, make_job, child, monkeypatch):
    child("raise SystemExit(9)")
    monkeypatch.setattr(worker, "_child_settings", lambda: {"filler": "x" * 2_000_000})
    assert worker._run_child(make_job("running")) == 9


def test_no_child_is_left_behind_when_the_database_fails(worker, make_job, child, monkeypatch):
    started = child(WAITS)

    def fail(job):
        raise sqlite3.OperationalError("disk I/O error")
    monkeypatch.setattr(worker, "_still_claimed", fail)
    with pytest.raises(sqlite3.OperationalError):
        worker._run_child(make_job("running"))
    assert started[0].returncode == -signal.SIGKILL


def test_a_job_left_running_by_an_error_is_taken_up_again(store, worker, make_job, monkeypatch):
    job = make_job("queued")

    def no_memory(job):
        raise BlockingIOError("cannot fork")
    monkeypatch.setattr(worker, "_run_child", no_memory)
    with pytest.raises(BlockingIOError):
        worker._train_next()
    assert status(store, job) == "running"
    monkeypatch.setattr(worker, "_run_child", lambda claimed: store.jobs.move(claimed["id"], "succeeded", claim=claimed["claim"]))
    assert worker._train_next() is True and status(store, job) == "succeeded"


def test_the_working_folder_of_a_job_cancelled_while_it_was_paused_goes(store, worker, make_job):
    job = make_job("paused")
    leave_work(store, job)
    worker._train_next()
    assert store.work_dir(job["id"]).exists()
    store.jobs.move(job["id"], "cancelled")
    worker._train_next()
    assert not store.work_dir(job["id"]).exists()


def test_a_stop_kills_the_child_and_leaves_the_job_for_the_next_server(store, worker, make_job, child, messages):
    started, job = child(WAITS), make_job("queued")
    store.steps.add(job["id"], 1, {"step": 1})
    worker.start()
    while not started:
        threading.Event().wait(0.005)
    worker.stop()
    assert started[0].returncode == -signal.SIGKILL and status(store, job) == "queued"
    assert messages(job["id"])[-1] == "The server was stopped; the job goes on from its last checkpoint"


def test_the_worker_outlives_every_error_and_tries_again(store, worker, make_job, monkeypatch, caplog):
    errors = [sqlite3.OperationalError("database is locked"), OSError("cannot fork"), KeyError("a bug")]
    done, claim = threading.Event(), store.jobs.claim

    def fail_first():
        if errors:
            raise errors.pop()
        return claim()
    monkeypatch.setattr(store.jobs, "claim", fail_first)
    monkeypatch.setattr(worker, "_run_child", lambda job: store.jobs.move(job["id"], "succeeded", claim=job["claim"]) and done.set())
    job = make_job("queued")
    with caplog.at_level(logging.CRITICAL, logger="local_api.worker.queue"):
        worker.start()
        assert done.wait(30), "without anybody waking it"
        worker.stop()
    assert status(store, job) == "succeeded" and errors == []


def test_news_that_comes_during_the_work_is_not_lost(worker):
    """The second piece of work appears while the first is looked for; nobody calls again."""
    looked, found = [], threading.Event()

    def action():
        looked.append(None)
        if len(looked) == 1:
            worker.wake()
        else:
            found.set()
        return False
    thread = threading.Thread(target=worker._loop, args=(worker._news[0], action), daemon=True)
    thread.start()
    assert found.wait(30)
    worker._stopping.set()
    worker.wake()
    thread.join(30)
    assert not thread.is_alive()


def test_a_stop_at_any_moment_ends_the_loop(worker):
    """The worst moment: after the loop looked whether to stop, before it does anything."""
    class Stops(threading.Event):
        def __init__(self):
            super().__init__()
            self.asked = False

        def is_set(self):
            answer, first = super().is_set(), not self.asked
            self.asked = True
            if first:
                self.set()
                worker.wake()
            return answer
    worker._stopping = Stops()
    thread = threading.Thread(target=worker._loop, args=(worker._news[0], lambda: False), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
