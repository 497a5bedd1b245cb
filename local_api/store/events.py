"""What a job tells of itself. Each event has a key within its job, so that a repeat after a crash is not told twice."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any, Literal

from local_api.store.db import Database
from local_api.store.ids import new_id


class Events:
    def __init__(self, db: Database, clock: Callable[[], float]) -> None:
        self.db, self.clock = db, clock

    def add(self, job_id: str, key: str, message: str, *, level: Literal["info", "warn", "error"] = "info",
            type: Literal["message", "metrics"] = "message", data: dict[str, Any] | None = None) -> None:
        """Tell `message`, unless the job has an event of that key already."""
        with self.db.transaction() as connection:
            connection.execute(
                "insert or ignore into events (id, job_id, key, created_at, level, type, message, data) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                (new_id("ftevent-"), job_id, key, int(self.clock()), level, type, message,
                 json.dumps(data) if data else None))

    def since(self, job_id: str, seq: int) -> list[sqlite3.Row]:
        """Those after the event numbered `seq` (0: all), oldest first."""
        return self.db.rows("select * from events where job_id = ? and seq > ? order by seq", job_id, seq)

    def page(self, job_id: str, *, limit: int, after: str | None) -> tuple[list[sqlite3.Row], bool]:
        """Newest first."""
        return self.db.page("events", "job_id = ?", [job_id], limit=limit, after=after)
