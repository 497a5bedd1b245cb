"""Fine-tuned models and checkpoints: names, and which adapter answers for each. Base models belong to the engine."""

import sqlite3
from collections.abc import Callable

from local_api.errors import ModelNotFound
from local_api.store.db import Database


class Models:
    def __init__(self, db: Database, clock: Callable[[], float]) -> None:
        self.db, self.clock = db, clock

    def add(self, name: str, *, project: str, base_model: str, adapter: str, job_id: str, parent: str, kind: str,
            bytes: int = 0) -> None:
        """`bytes`: of the adapter's folder."""
        with self.db.transaction() as connection:
            connection.execute(
                "insert or ignore into models (id, project, base_model, adapter, job_id, parent, kind, bytes, created_at) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, project, base_model, adapter, job_id, parent, kind, bytes, int(self.clock())))

    def get(self, project: str, name: str) -> sqlite3.Row:
        row = self.db.row("select * from models where id = ? and project = ?", name, project)
        if row is None:
            raise ModelNotFound(name)
        return row

    def taken(self, name: str) -> bool:
        """Whether a model has this name, or checkpoints of one that will have it."""
        return self.db.row("select 1 from models where id = ? or substr(id, 1, ?) = ?", name, len(name) + 6,
                           f"{name}:ckpt-") is not None

    def all(self, project: str) -> list[sqlite3.Row]:
        """Newest first; checkpoints are models too, but are listed by their job alone."""
        return self.db.rows("select * from models where project = ? and kind = 'model' order by seq desc", project)

    def delete(self, project: str, name: str) -> str | None:
        """Forget the model. Returns the hash of its adapter if nothing needs it any more."""
        with self.db.transaction() as connection:
            row = self.get(project, name)
            connection.execute("delete from models where id = ?", (name,))
            return None if row["adapter"] in self.used(row["adapter"]) else row["adapter"]

    def used(self, adapter: str | None = None) -> set[str]:
        """Adapters that a model, or a job that has not ended, still needs."""
        asked, values = ("is not null", []) if adapter is None else ("= ?", [adapter] * 2)
        return {row["adapter"] for row in self.db.rows(f"""
            select adapter from models where adapter {asked}
            union select start_from from jobs where finished_at is null and start_from {asked}""", *values)}
