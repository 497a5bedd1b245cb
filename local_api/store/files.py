"""Uploaded and result files: their rows. Contents lie in `contents.py` under their hash.

    row = files.add(project, filename="train.jsonl", purpose="fine-tune", bytes=812, sha256=digest)
"""

import sqlite3
from collections.abc import Callable

from local_api.errors import NotFound
from local_api.store.db import Database
from local_api.store.ids import new_id
from local_api.store.quotas import Quota, check_bytes, unlimited


class Files:
    def __init__(self, db: Database, clock: Callable[[], float], quota: Callable[[str], Quota] = unlimited) -> None:
        self.db, self.clock, self.quota = db, clock, quota

    def add(self, project: str, *, filename: str, purpose: str, bytes: int, sha256: str) -> sqlite3.Row:
        """Raises InsufficientQuota."""
        identifier = new_id("file-")
        with self.db.transaction() as connection:
            check_bytes(self.db, project, self.quota(project), more=bytes)
            connection.execute(
                "insert into files (id, project, filename, purpose, bytes, sha256, created_at) values (?, ?, ?, ?, ?, ?, ?)",
                (identifier, project, filename, purpose, bytes, sha256, int(self.clock())))
        return self.get(project, identifier)

    def get(self, project: str, identifier: str, *, param: str | None = "file_id") -> sqlite3.Row:
        """The row, or NotFound naming `param`."""
        row = self.db.row("select * from files where id = ? and project = ?", identifier, project)
        if row is None:
            raise NotFound(f"No such File object: {identifier}", param=param)
        return row

    def page(self, project: str, *, purpose: str | None, limit: int, after: str | None,
             ascending: bool) -> tuple[list[sqlite3.Row], bool]:
        where, values = "project = ?", [project]
        if purpose is not None:
            where, values = where + " and purpose = ?", [*values, purpose]
        return self.db.page("files", where, values, limit=limit, after=after, ascending=ascending)

    def delete(self, project: str, identifier: str) -> str | None:
        """Forget the file. Returns the hash of its contents if nothing needs them any more."""
        with self.db.transaction() as connection:
            row = self.get(project, identifier)
            connection.execute("delete from files where id = ?", (identifier,))
            return None if row["sha256"] in self.used(row["sha256"]) else row["sha256"]

    def used(self, sha256: str | None = None) -> set[str]:
        """Hashes that a file, or a job that has not ended, still needs."""
        asked, values = ("is not null", []) if sha256 is None else ("= ?", [sha256] * 3)
        return {row["sha256"] for row in self.db.rows(f"""
            select sha256 from files where sha256 {asked}
            union select training_sha256 from jobs where finished_at is null and training_sha256 {asked}
            union select validation_sha256 from jobs where finished_at is null and validation_sha256 {asked}""", *values)}
