"""What a project may keep: jobs that have not ended, and bytes of its files and models.

Checked in the transaction that adds, so that requests at the same moment cannot pass the limit together.

    check_bytes(db, "ann", quota, more=812)     # InsufficientQuota
"""

from dataclasses import dataclass

from local_api.errors import InsufficientQuota
from local_api.store.db import Database


@dataclass(frozen=True, slots=True)
class Quota:
    """None: no limit."""

    unfinished_jobs: int | None = None
    stored_bytes: int | None = None


def unlimited(project: str) -> Quota:
    return Quota()


def stored_bytes(db: Database, project: str) -> int:
    """Of a project's files, and of its models' adapters: one that several models share is counted once."""
    return db.row("""
        select (select coalesce(sum(bytes), 0) from files where project = ?)
             + (select coalesce(sum(bytes), 0) from (select max(bytes) as bytes from models where project = ? group by adapter))
        """, project, project)[0]


def check_bytes(db: Database, project: str, quota: Quota, *, more: int) -> None:
    """Raise InsufficientQuota unless `more` bytes have room."""
    if quota.stored_bytes is None:
        return
    used = stored_bytes(db, project)
    if used + more > quota.stored_bytes:
        raise InsufficientQuota(f"You exceeded your quota of stored bytes: files and models take {used:,} of "
                                f"{quota.stored_bytes:,}, and this needs {more:,} more. Delete files or models that you no "
                                "longer need.")


def check_jobs(db: Database, project: str, quota: Quota) -> None:
    """Raise InsufficientQuota unless one more job may wait, and there is room for its model."""
    if quota.unfinished_jobs is not None:
        count = db.row("select count(*) from jobs where project = ? and finished_at is null", project)[0]
        if count >= quota.unfinished_jobs:
            raise InsufficientQuota(f"You exceeded your quota of jobs: {count} have not ended, at most "
                                    f"{quota.unfinished_jobs} may run or wait at once (paused ones count too). Wait for one to "
                                    "end, or cancel one.")
    check_bytes(db, project, quota, more=1)
