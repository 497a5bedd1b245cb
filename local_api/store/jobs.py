"""Fine-tuning jobs: rows with legal transitions. A job is claimed by an update and never deleted to be run.

    job = jobs.claim(token)                       # the next queued job, now running, or None
    jobs.move(job["id"], "succeeded", claim=token, fine_tuned_model=name)

The process that trains holds the claim's token and names it with each write: once the job was taken from it (paused,
cancelled, claimed anew after a crash) its writes raise ClaimLost.
"""

import json
import secrets
import sqlite3
from collections.abc import Callable
from typing import Any

from local_api.errors import Conflict, NotFound
from local_api.store.db import Database
from local_api.store.ids import new_id
from local_api.store.quotas import Quota, check_jobs, unlimited

TRANSITIONS: dict[str, set[str]] = {
    "validating_files": {"queued", "paused", "failed", "cancelled"},
    "queued": {"running", "paused", "failed", "cancelled"},
    "running": {"queued", "paused", "succeeded", "failed", "cancelled"},
    "paused": {"validating_files", "queued", "cancelled"},
    "succeeded": set(),
    "failed": set(),
    "cancelled": set(),
}
ENDED = frozenset(status for status, following in TRANSITIONS.items() if not following)


class ClaimLost(RuntimeError):
    """Somebody else decides about this job now: stop without another word."""


class Jobs:
    def __init__(self, db: Database, clock: Callable[[], float], quota: Callable[[str], Quota] = unlimited) -> None:
        self.db, self.clock, self.quota = db, clock, quota

    def add(self, project: str, **columns: Any) -> sqlite3.Row:
        """A new job in `validating_files`. Columns as in the schema; dictionaries are kept as JSON. Raises InsufficientQuota."""
        values = {"id": new_id("ftjob-"), "project": project, "status": "validating_files",
                  "created_at": int(self.clock()), **columns}
        names = ", ".join(values)
        with self.db.transaction() as connection:
            check_jobs(self.db, project, self.quota(project))
            connection.execute(f"insert into jobs ({names}) values ({', '.join('?' * len(values))})",
                               [as_column(value) for value in values.values()])
        return self.get(project, values["id"])

    def get(self, project: str, identifier: str) -> sqlite3.Row:
        row = self.db.row("select * from jobs where id = ? and project = ? and deleted_at is null", identifier, project)
        if row is None:
            raise NotFound(f"Could not find fine-tuning job: {identifier}", param="fine_tuning_job_id",
                           code="fine_tune_not_found")
        return row

    def current(self, identifier: str) -> sqlite3.Row:
        """A job that is known to be there, whoever's it is, and even if its owner has deleted it since."""
        return self.db.row("select * from jobs where id = ?", identifier)

    def page(self, project: str, *, metadata: dict[str, str] | None, limit: int,
             after: str | None) -> tuple[list[sqlite3.Row], bool]:
        """Newest first. `metadata`: only jobs that carry all of these pairs; an empty one, only jobs without any."""
        where, values = "project = ? and deleted_at is null", [project]
        if metadata is not None and not metadata:
            where += " and metadata is null"
        for key, value in (metadata or {}).items():
            where += " and exists (select 1 from json_each(jobs.metadata) where key = ? and value = ?)"
            values += [key, value]
        return self.db.page("jobs", where, values, limit=limit, after=after)

    def supervised(self, project: str) -> list[sqlite3.Row]:
        """Every job of this method, oldest first: those that the old API can show."""
        return self.db.rows("select * from jobs where project = ? and method = 'supervised' and deleted_at is null order by seq",
                            project)

    def running(self) -> list[sqlite3.Row]:
        return self.db.rows("select * from jobs where status = 'running' order by round, seq")

    def to_validate(self) -> list[sqlite3.Row]:
        """The oldest new job of each project, oldest first."""
        return self.db.rows("select * from jobs where seq in (select min(seq) from jobs where status = 'validating_files' "
                            "group by project) order by seq")

    def unfinished(self) -> int:
        """Jobs that still have work to be done without anybody's doing: paused ones do not count."""
        return self.db.row("select count(*) from jobs where status in ('validating_files', 'queued', 'running')")[0]

    def lineage(self, identifier: str) -> list[str]:
        """The models that a job comes from, the base model first, the one that it started from last.

        Told from the jobs, which are kept: a model that was deleted since stands in it all the same.
        """
        return [row["model"] for row in self.db.rows("""
            with recursive line (generation, model, parent_job) as (
                select 0, model, parent_job from jobs where id = ?
                union all
                select generation + 1, jobs.model, jobs.parent_job from line join jobs on jobs.id = line.parent_job)
            select model from line order by generation desc""", identifier)]

    def ahead(self, job: sqlite3.Row) -> int:
        """Jobs of all projects whose turn is before that of a queued one, as things stand: the running one too."""
        return self.db.row("select (select count(*) from jobs where status = 'running') + "
                           "(select count(*) from jobs where status = 'queued' and (round, seq) < (?, ?))",
                           job["round"], job["seq"])[0]

    def next_round(self, project: str) -> int:
        """The round of the queue in which a project's next job has its turn: one after its last, and none that has passed.

        Jobs that were cancelled or paused before their turn came count for nothing, and no clock has a say in it.
        """
        passed = self.db.row("select max(round) from jobs where started_at is not null")[0] or 1
        own = self.db.row("select max(round) from jobs where project = ? and "
                          "(started_at is not null or status in ('queued', 'running'))", project)[0] or 0
        return max(passed, own + 1)

    def claim(self) -> sqlite3.Row | None:
        """The job whose turn it is, now running under a new claim; None if the queue is empty. Projects take turns."""
        with self.db.transaction() as connection:
            job = self.db.row("select * from jobs where status = 'queued' order by round, seq limit 1")
            if job is None:
                return None
            connection.execute(
                "update jobs set status = 'running', claim = :claim, started_at = coalesce(started_at, :now), claimed_at = :now, "
                "claimed_step = (select coalesce(max(step), 0) from steps where job_id = jobs.id) where id = :id",
                {"claim": secrets.token_hex(16), "now": self.clock(), "id": job["id"]})
            return self.current(job["id"])

    def move(self, identifier: str, status: str, *, claim: str | None = None, expected: str | None = None,
             **columns: Any) -> sqlite3.Row:
        """Change the status, and columns with it. Raises Conflict if the job's status does not allow that.

        `claim`: the token of the process that writes; ClaimLost if the job is no longer its own. `expected`: the only
        status that this change is meant for.
        """
        with self.db.transaction() as connection:
            job = connection.execute("select * from jobs where id = ?", (identifier,)).fetchone()
            if claim is not None:
                self.check_claim(identifier, claim)
            if status not in TRANSITIONS[job["status"]] or (expected is not None and job["status"] != expected):
                raise Conflict(f"Job {identifier} is {job['status']}: it cannot become {status}.", code="invalid_job_status")
            values = {"status": status, **columns}
            if status != "running":
                values["claim"] = None
            if status == "queued" and "queued_at" not in columns:  # else it was put back, and keeps its turn
                values |= {"queued_at": self.clock(), "round": self.next_round(job["project"])}
            if status in ENDED:
                values["finished_at"] = int(self.clock())
            assignments = ", ".join(f"{name} = ?" for name in values)
            connection.execute(f"update jobs set {assignments} where id = ?",
                               [*map(as_column, values.values()), identifier])
            return self.get(job["project"], identifier)

    def delete(self, project: str, identifier: str) -> None:
        """Hide a job that has ended, for good. Its model and its files stay. Raises Conflict for one that has not."""
        with self.db.transaction() as connection:
            job = self.get(project, identifier)
            if job["status"] not in ENDED:
                raise Conflict(f"Job {identifier} is {job['status']}: cancel it before you delete it.", code="invalid_job_status")
            connection.execute("update jobs set deleted_at = ? where id = ?", (int(self.clock()), identifier))

    def check_claim(self, identifier: str, claim: str) -> None:
        """Raise ClaimLost unless the job is running under this claim. Call it inside the transaction that writes."""
        row = self.db.row("select 1 from jobs where id = ? and status = 'running' and claim = ?", identifier, claim)
        if row is None:
            raise ClaimLost(identifier)

    def note_crash(self, identifier: str, crashes: int) -> None:
        with self.db.transaction() as connection:
            connection.execute("update jobs set crashes = ? where id = ?", (crashes, identifier))


def as_column(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value
