"""What must hold in the data directory of a server that stands still, whatever was done to it before.

Reads the database and the folders beside it. Knows no client; what was promised to clients is `day.Ledger`'s business.

    assert faults(data_dir) == []
"""

import contextlib
import json
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from local_api.store.contents import file_hash, folder_hash
from local_api.store.jobs import ENDED

REPEATABLE = re.compile(r"goes on from its last checkpoint|^The job was (paused|resumed)$")  # may be told of a job more than once


@contextlib.contextmanager
def database(data_dir: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the database with its log: whoever starts next must find, and mend, what the dead server left."""
    with tempfile.TemporaryDirectory() as folder:
        for path in data_dir.glob("local_api.sqlite3*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / "local_api.sqlite3")) as connection:
            connection.row_factory = sqlite3.Row
            yield connection


@contextlib.contextmanager
def in_use(data_dir: Path) -> Iterator[sqlite3.Connection]:
    """The database of a server that runs: a copy of that may be half of one state and half of the next."""
    address = f"{(data_dir / 'local_api.sqlite3').as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
        yield connection


def faults(data_dir: Path) -> list[str]:
    """All that is wrong, in words; for a server that was stopped in order, after all its jobs."""
    with database(data_dir) as connection:
        return [*unsound(connection), *misplaced(connection, data_dir), *mistold(connection)]


def unsound(connection: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds."""
    found = [row[0] for row in connection.execute("pragma integrity_check") if row[0] != "ok"]
    return [f"integrity: {each}" for each in found] + [
        f"foreign key: {tuple(row)}" for row in connection.execute("pragma foreign_key_check")]


def strays(connection: sqlite3.Connection, data_dir: Path) -> dict[str, list[str]]:
    """By folder, the names of what no row needs: a server sweeps them away when it starts."""
    named = {
        "files": "select sha256 from files union select training_sha256 from jobs where finished_at is null "
                 "union select validation_sha256 from jobs where finished_at is null",
        "adapters": "select adapter from models union select start_from from jobs where finished_at is null",
        "incoming": "select null", "work": "select id from jobs where finished_at is null"}
    result = {}
    for folder, query in named.items():
        needed = {row[0] for row in connection.execute(query)}
        place = data_dir / folder
        result[folder] = sorted(path.name for path in place.iterdir() if path.name not in needed) if place.exists() else []
    return result


def misplaced(connection: sqlite3.Connection, data_dir: Path) -> Iterator[str]:
    """Contents without a row, rows without their contents, contents that are not what their name says."""
    for folder, names in strays(connection, data_dir).items():
        yield from (f"{folder}/{name} is there, and no row needs it" for name in names)
    for folder, query, digest in (("files", "select distinct sha256 from files", file_hash),
                                  ("adapters", "select distinct adapter from models", folder_hash)):
        for (name,) in connection.execute(query):
            path = data_dir / folder / name
            if not path.exists():
                yield f"a row names {folder}/{name}, which is not there"
            elif digest(path) != name:
                yield f"{folder}/{name} holds something else"


def mistold(connection: sqlite3.Connection) -> Iterator[str]:
    """Jobs that have not ended, and those whose events and steps are not one whole story."""
    for job in connection.execute("select * from jobs order by seq").fetchall():
        if job["status"] not in ENDED:
            yield f"{job['id']} is still {job['status']}"
        steps = [row[0] for row in connection.execute("select step from steps where job_id = ? order by step", (job["id"],))]
        events = connection.execute("select type, message, data from events where job_id = ? order by seq", (job["id"],)).fetchall()
        told = [json.loads(event["data"])["step"] for event in events if event["type"] == "metrics"]
        if not told == steps == list(range(1, len(steps) + 1)):
            yield f"{job['id']}: steps {steps}, told were {told}"
        count = Counter(event["message"] for event in events)
        yield from (f"{job['id']} tells twice: {message}" for message, n in count.items()
                    if n > 1 and not REPEATABLE.search(message))
        yield from incomplete(job, steps, [event["message"] for event in events])


def incomplete(job: sqlite3.Row, steps: list[int], messages: list[str]) -> Iterator[str]:
    """What the story of a job that ended lacks."""
    last = {"succeeded": "The job has successfully completed", "cancelled": "The job was cancelled"}.get(job["status"])
    if not messages or not messages[0].startswith("Created fine-tuning job"):
        yield f"{job['id']} does not begin with its creation: {messages[:1]}"
    if last is not None and messages[-1:] != [last]:
        yield f"{job['id']} is {job['status']}, and its last event is {messages[-1:]}"
    if job["status"] == "succeeded":
        total = re.search(r"/(\d+):", next((message for message in messages if message.startswith("Step ")), ""))
        if total is None or len(steps) != int(total[1]):
            yield f"{job['id']} succeeded with {len(steps)} of {total and total[1]} steps"
        if not (job["fine_tuned_model"] and job["result_file"]):
            yield f"{job['id']} succeeded without a model or a result file"


def unfair(connection: sqlite3.Connection) -> Iterator[str]:
    """Three turns that a project had while another one waited. Two are fair: the last of a round, and the first of the next."""
    begun = connection.execute("select id, project, queued_at, started_at from jobs where started_at is not null "
                               "order by started_at").fetchall()
    turns: dict[str, list[sqlite3.Row]] = {}
    for job in begun:
        own = turns.setdefault(job["project"], [])
        own.append(job)
        if len(own) < 3:
            continue
        first = own[-3]
        between = {row["project"] for row in begun if first["started_at"] < row["started_at"] < job["started_at"]}
        waited = {row["project"] for row in begun if row["queued_at"] < first["started_at"] and row["started_at"] > job["started_at"]}
        yield from (f"{job['project']} had three turns, {first['id']} to {job['id']}, while {other} waited"
                    for other in sorted(waited - between - {job["project"]}))
