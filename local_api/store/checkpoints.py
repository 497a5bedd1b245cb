"""Checkpoints of jobs: one at the end of an epoch; the last three of a job are kept."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from local_api.store.db import Database
from local_api.store.ids import new_id

KEPT = 3


class Checkpoints:
    def __init__(self, db: Database, clock: Callable[[], float]) -> None:
        self.db, self.clock = db, clock

    def add(self, job_id: str, step: int, *, model: str, metrics: dict[str, Any]) -> set[str]:
        """Keep a checkpoint, drop those older than the last three. Returns the adapters of the models dropped with them."""
        with self.db.transaction() as connection:
            connection.execute(
                "insert or ignore into checkpoints (id, job_id, step, model, metrics, created_at) values (?, ?, ?, ?, ?, ?)",
                (new_id("ftckpt_"), job_id, step, model, json.dumps(metrics), int(self.clock())))
            old = connection.execute(
                "select checkpoints.id, model, adapter from checkpoints left join models on models.id = model "
                "where checkpoints.job_id = ? order by step desc limit -1 offset ?", (job_id, KEPT)).fetchall()
            connection.executemany("delete from checkpoints where id = ?", [(row["id"],) for row in old])
            connection.executemany("delete from models where id = ? and kind = 'checkpoint'", [(row["model"],) for row in old])
            return {row["adapter"] for row in old if row["adapter"] is not None}  # none: its owner deleted the model

    def page(self, job_id: str, *, limit: int, after: str | None) -> tuple[list[sqlite3.Row], bool]:
        """Newest first."""
        return self.db.page("checkpoints", "job_id = ?", [job_id], limit=limit, after=after)

    def last(self, job_id: str) -> sqlite3.Row | None:
        return self.db.row("select * from checkpoints where job_id = ? order by step desc limit 1", job_id)
