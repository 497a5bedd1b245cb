"""Takes jobs from the queue: validates what is new, trains one job at a time in a child process, recovers what died.

    worker = Worker(settings, store, engine); worker.start(); worker.wake(); worker.stop()

Knows no HTTP. The routes change rows and call `wake`; a job that is no longer running has its child killed.
"""

import contextlib
import itertools
import json
import logging
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable

from local_api.engines.protocols import Engine
from local_api.settings import Settings
from local_api.store import Store
from local_api.store.jobs import ENDED, ClaimLost
from local_api.worker.run_job import DISK_FULL, DISK_FULL_STATUS, INTERNAL_ERROR
from local_api.worker.validation import end, validate_job

log = logging.getLogger(__name__)
POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
CRASHES_ALLOWED = 3  # in a row, without one training step in between


class Worker:
    """Two threads: one validates, one trains."""

    def __init__(self, settings: Settings, store: Store, engine: Engine) -> None:
        self.settings, self.store, self.engine = settings, store, engine
        self._stopping = threading.Event()
        self._turns, self._validated = itertools.count(1), dict[str, int]()  # the turn in which a project was validated last
        self._news = [threading.Event(), threading.Event()]
        self._threads = [threading.Thread(target=self._loop, args=(news, action), name=name, daemon=True)
                         for news, name, action in zip(self._news, ("validate", "train"),
                                                       (self._validate_next, self._train_next), strict=True)]

    def start(self) -> None:
        self.recover()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Kill the training process, if any; its job is queued again and goes on when a server starts next."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """There may be something to do."""
        for news in self._news:
            news.set()

    def recover(self) -> None:
        """After a start: what a dead server left running is queued again; contents that no row names are deleted."""
        self._requeue_running("The server was restarted; the job goes on from its last checkpoint")
        self.store.contents.drop_unused(self.store.files.used(), self.store.models.used())
        self._sweep()

    def _requeue_running(self, message: str) -> None:
        for job in self.store.jobs.running():
            self._requeue(job, message)

    def _sweep(self) -> None:
        """Delete the working folders of jobs that ended: cancelled while they were paused or waiting, say."""
        work = self.store.data_dir / "work"
        for folder in work.iterdir() if work.exists() else ():
            job = self.store.db.row("select status from jobs where id = ?", folder.name)
            if job is None or job["status"] in ENDED:
                shutil.rmtree(folder, ignore_errors=True)

    def _loop(self, news: threading.Event, action: Callable[[], bool]) -> None:
        while not self._stopping.is_set():
            try:
                if action():
                    continue
            except Exception:  # a database that does not answer, no memory for a child: the thread must outlive it
                log.exception("the worker met an error; trying again")
                self._stopping.wait(RETRY_SECONDS)
                continue
            news.wait()
            news.clear()  # after the wait, never before the work: news that came during it would be lost

    def _validate_next(self) -> bool:
        waiting = self.store.jobs.to_validate()
        if not waiting:
            return False
        job = min(waiting, key=lambda job: (self._validated.get(job["project"], 0), job["seq"]))  # projects take turns
        self._validated[job["project"]] = next(self._turns)
        try:
            validate_job(self.store, self.engine, job)
        except sqlite3.OperationalError:  # busy or full: no fault of the job
            raise
        except Exception:
            log.exception("validation of %s failed", job["id"])
            end(self.store, job, {"code": "internal_error", "message": INTERNAL_ERROR, "param": None})
        self._news[1].set()
        return True

    def _train_next(self) -> bool:
        self._sweep()
        self._requeue_running("Training was interrupted; the job goes on from its last checkpoint")  # by an error in here
        job = self.store.jobs.claim()
        if job is None:
            return False
        code = self._run_child(job)
        current = self.store.jobs.current(job["id"])
        if current["claim"] == job["claim"]:
            if self._stopping.is_set():
                self._requeue(current, "The server was stopped; the job goes on from its last checkpoint")
            else:
                self._after_crash(current, code)
        return True

    def _run_child(self, job: sqlite3.Row) -> int:
        """Train `job` in a child. Returns its exit status; the child is killed when the job is no longer its own."""
        child = subprocess.Popen([sys.executable, "-m", "local_api.worker.process", job["id"], job["claim"]],
                                 stdin=subprocess.PIPE)
        try:
            with contextlib.suppress(BrokenPipeError):  # it died at once
                child.stdin.write(json.dumps(self._child_settings()).encode() + b"\n")
                child.stdin.flush()
            while child.poll() is None and not self._stopping.is_set() and self._still_claimed(job):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(POLL_SECONDS)
        finally:
            child.kill()  # nothing to one that has ended
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            code = child.wait()
        return code

    def _child_settings(self) -> dict[str, object]:
        settings = self.settings
        return {"data_dir": str(settings.data_dir), "cache_dir": str(settings.cache_dir), "engine": settings.engine,
                "organization": settings.organization, "options": settings.engine_options, "log": settings.log}

    def _still_claimed(self, job: sqlite3.Row) -> bool:
        """Whether the child may go on: it trains under its claim, or has just ended the job itself and is about to leave."""
        row = self.store.db.row("select status, claim from jobs where id = ?", job["id"])
        return row["claim"] == job["claim"] or row["status"] in ("succeeded", "failed")

    def _requeue(self, job: sqlite3.Row, message: str) -> None:
        """Queue a running job again, unless its owner paused or cancelled it in the meantime."""
        with self.store.db.transaction():
            try:
                self.store.jobs.move(job["id"], "queued", claim=job["claim"], queued_at=job["queued_at"])
            except ClaimLost:
                return
            if self.store.steps.last(job["id"]) is not None:
                self.store.events.add(job["id"], f"again-{job['claim']}", message, level="warn")

    def _after_crash(self, job: sqlite3.Row, code: int) -> None:
        """The child died by itself: try again from the last checkpoint, a limited number of times without progress."""
        if code == DISK_FULL_STATUS:
            end(self.store, job, {"code": "disk_full", "message": DISK_FULL, "param": None})
            return
        reason = signal.Signals(-code).name if code < 0 else f"status {code}"
        crashes = job["crashes"] + 1
        if crashes >= CRASHES_ALLOWED:
            end(self.store, job, {"code": "training_process_died", "param": None, "message": (
                f"The training process died {crashes} times in a row without a step done (last: {reason}). "
                "A machine short of memory kills it like this: try a smaller batch size or shorter examples.")})
            return
        self.store.jobs.note_crash(job["id"], crashes)
        self._requeue(job, f"The training process died ({reason}); the job goes on from its last checkpoint")
