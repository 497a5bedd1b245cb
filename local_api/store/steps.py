"""Training steps: the engine's own reports, one row a step. The result file and the checkpoints' metrics come from here."""

import json
from typing import Any

from local_api.store.db import Database


class Steps:
    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, job_id: str, step: int, report: dict[str, Any]) -> bool:
        """Keep a report. False if this step was reported before (a job that goes on after a crash repeats some)."""
        with self.db.transaction() as connection:
            added = connection.execute("insert or ignore into steps (job_id, step, report) values (?, ?, ?)",
                                       (job_id, step, json.dumps(report)))
            return added.rowcount == 1

    def all(self, job_id: str) -> list[dict[str, Any]]:
        """Every report of a job, in order of its steps."""
        return [json.loads(row["report"])
                for row in self.db.rows("select report from steps where job_id = ? order by step", job_id)]

    def at(self, job_id: str, step: int) -> dict[str, Any]:
        """The report of one step, which must be there."""
        row = self.db.row("select report from steps where job_id = ? and step = ?", job_id, step)
        return json.loads(row["report"])

    def last(self, job_id: str) -> dict[str, Any] | None:
        row = self.db.row("select report from steps where job_id = ? order by step desc limit 1", job_id)
        return None if row is None else json.loads(row["report"])
