"""Trains one claimed job and registers what came out. Runs in the child process; may be killed at any moment.

Every write names the claim, so a process that outlived its job writes nothing; every event has a key, so what is
repeated after a crash is told once.
"""

import dataclasses
import errno
import io
import itertools
import json
import logging
import shutil
import sqlite3
from typing import Any

from local_api.engines.protocols import (
    CheckpointReport,
    Engine,
    EngineError,
    Hyperparameters,
    StepReport,
    TrainingSpec,
)
from local_api.store import Store
from local_api.store.ids import model_name, old_model_name
from local_api.store.jobs import ClaimLost
from local_api.training_files import InvalidTrainingFile
from local_api.worker.classification import Classes, find_classes, measure
from local_api.worker.results import metrics, results_file
from local_api.worker.validation import load_examples

log = logging.getLogger(__name__)
DISK_FULL = "The disk of the local API is full: free some space and start the job again."
DISK_FULL_STATUS = 28  # of a child that could not write it into the database, which is on the same disk
INTERNAL_ERROR = "The local API met an error of its own; its log tells more."


class JobRun:
    """One run of one job under one claim."""

    def __init__(self, store: Store, engine: Engine, job: sqlite3.Row, organization: str) -> None:
        self.store, self.engine, self.job = store, engine, job
        self.id, self.claim, self.organization = job["id"], job["claim"], organization
        self.name = self.model_name()
        self.last: tuple[int, str] | None = None  # step and adapter of the last checkpoint
        self.classes: Classes | None = None

    def run(self) -> None:
        """To the end, or until the claim is lost. Only a failure of this program itself raises."""
        try:
            self.train()
        except ClaimLost:  # the working folder belongs to whoever goes on with the job
            return
        shutil.rmtree(self.store.work_dir(self.id), ignore_errors=True)

    def train(self) -> None:
        """Train and register, or fail the job. Raises ClaimLost."""
        try:
            for report in self.engine.trainer().train(self.spec()):
                if isinstance(report, StepReport):
                    self.step(report)
                else:
                    self.checkpoint(report)
            self.succeed()
        except (ClaimLost, sqlite3.OperationalError):  # a database that is busy or full: another process tries again
            raise
        except (EngineError, InvalidTrainingFile) as error:
            self.fail("training_failed", str(error))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.fail("disk_full", DISK_FULL)
        except Exception:
            log.exception("training of %s failed", self.id)  # in the server's log; a client never sees it
            self.fail("internal_error", INTERNAL_ERROR)

    def spec(self) -> TrainingSpec:
        job = self.job
        with self.store.db.transaction():
            self.store.jobs.check_claim(self.id, self.claim)
            self.store.events.add(self.id, "started", "Fine-tuning job started")
        work_dir = self.store.work_dir(self.id)
        work_dir.mkdir(parents=True, exist_ok=True)
        examples, validation = (load_examples(self.store, job, which) for which in ("training", "validation"))
        if job["classification"]:
            self.classes = find_classes(json.loads(job["classification"]), examples, validation)
        return TrainingSpec(
            base_model=job["base_model"], examples=examples, validation=validation, method=job["method"],
            classes=self.classes.examples if self.classes else (),
            hyperparameters=Hyperparameters(**json.loads(job["resolved"])), seed=job["seed"], work_dir=work_dir,
            start_from=self.store.contents.adapter(job["start_from"]) if job["start_from"] else None)

    def step(self, report: StepReport) -> None:
        row = self.row(report)
        values = metrics(row)
        message = f"Step {report.step}/{report.total_steps}: training loss={report.train_loss:.2f}"
        valid_loss = report.full_valid_loss if report.full_valid_loss is not None else report.valid_loss
        if valid_loss is not None:
            message += f", validation loss={valid_loss:.2f}"
        with self.store.db.transaction():
            self.store.jobs.check_claim(self.id, self.claim)
            if self.store.steps.add(self.id, report.step, row):
                self.store.jobs.note_crash(self.id, 0)
            self.store.events.add(self.id, f"step-{report.step}", message, type="metrics",
                                  data={**values, "total_steps": report.total_steps})

    def row(self, report: StepReport) -> dict[str, Any]:
        """The report as it is kept: instead of the probabilities of the classes, what they amount to."""
        row = dataclasses.asdict(report)
        classified, probabilities = row.pop("classified"), row.pop("class_probabilities")
        if self.classes is None or classified is None:
            return row
        return row | {"classification": measure(self.classes, classified, probabilities)}

    def checkpoint(self, report: CheckpointReport) -> None:
        name = f"{self.name}:ckpt-step-{report.step}"
        row = self.store.steps.at(self.id, report.step)
        with self.store.db.transaction():  # a deletion of the same content waits until a row names it
            self.store.jobs.check_claim(self.id, self.claim)
            adapter = self.store.contents.keep_adapter(report.adapter)
            self.register(name, adapter, "checkpoint")
            dropped = self.store.checkpoints.add(self.id, report.step, model=name, metrics=metrics(row))
            self.store.events.add(self.id, f"checkpoint-{report.step}",
                                  f"Checkpoint created at step {report.step} with Snapshot ID: {name}")
        for unused in dropped - self.store.models.used():
            self.store.drop_adapter(unused)
        self.last = report.step, adapter

    def succeed(self) -> None:
        adapter = self.final_adapter()
        reports = self.store.steps.all(self.id)
        filename, content = results_file(reports, self.job["api"])
        with self.store.contents.receive(io.BytesIO(content)) as path, self.store.db.transaction():
            self.store.jobs.check_claim(self.id, self.claim)
            sha256 = self.store.contents.keep(path)
            file = self.store.files.add(self.job["project"], filename=filename, purpose="fine-tune-results",
                                        bytes=len(content), sha256=sha256)
            self.register(self.name, adapter, "model")
            self.store.events.add(self.id, "model", f"New fine-tuned model created: {self.name}")
            self.store.jobs.move(self.id, "succeeded", claim=self.claim, fine_tuned_model=self.name, result_file=file["id"],
                                 trained_tokens=reports[-1]["elapsed_tokens"])
            self.store.events.add(self.id, "succeeded", "The job has successfully completed")

    def fail(self, code: str, message: str) -> None:
        with self.store.db.transaction():
            self.store.jobs.move(self.id, "failed", claim=self.claim, error={"code": code, "message": message, "param": None})
            self.store.events.add(self.id, "failed", f"The job failed: {message}", level="error")

    def register(self, name: str, adapter: str, kind: str) -> None:
        self.store.models.add(name, project=self.job["project"], base_model=self.job["base_model"], adapter=adapter,
                              job_id=self.id, parent=self.job["model"], kind=kind,
                              bytes=self.store.contents.adapter_bytes(adapter))

    def model_name(self) -> str:
        """The name of the model to be: kept by the first checkpoint, so that a run after a crash goes on under it."""
        checkpoint = self.store.checkpoints.last(self.id)
        if checkpoint is not None:
            return checkpoint["model"].rsplit(":ckpt-step-", 1)[0]
        if self.job["api"] == "fine_tuning":
            return model_name(self.job["base_model"], self.organization, self.job["suffix"])
        seconds, base = self.store.jobs.clock(), self.job["model"].removeprefix("ft:").split(":")[0]
        names = (old_model_name(base, self.organization, self.job["suffix"], seconds + later) for later in itertools.count())
        return next(name for name in names if not self.store.models.taken(name))

    def final_adapter(self) -> str:
        """The adapter of the last checkpoint, made by this run or by one before a crash."""
        if self.last is not None:
            return self.last[1]
        checkpoint = self.store.checkpoints.last(self.id)
        if checkpoint is None:
            raise EngineError("training ended without a checkpoint")
        return self.store.models.get(self.job["project"], checkpoint["model"])["adapter"]
