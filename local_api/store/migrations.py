"""The schema, as a list of steps that is only ever appended to. `pragma user_version` counts those already made."""

import sqlite3
from pathlib import Path

MIGRATIONS: list[str] = [
    """
    create table files (
        seq integer primary key autoincrement,
        id text not null unique,
        project text not null,
        filename text not null,
        purpose text not null,
        bytes integer not null,
        sha256 text not null,
        created_at integer not null
    );
    create index files_by_project on files (project, seq);
    create index files_by_content on files (sha256);

    create table jobs (
        seq integer primary key autoincrement,
        id text not null unique,
        project text not null,
        model text not null,               -- as asked for: a base model, or a fine-tuned one to continue from
        base_model text not null,
        start_from text,                   -- hash of the adapter to continue from
        status text not null,
        training_file text not null,
        training_sha256 text not null,
        validation_file text,
        validation_sha256 text,
        suffix text,
        seed integer not null,
        method text not null,
        requested text not null,           -- hyperparameters as asked for, "auto" included (JSON)
        resolved text,                     -- hyperparameters as trained with (JSON)
        metadata text,                     -- JSON
        created_at integer not null,
        queued_at real,                    -- order of the queue
        started_at real,
        finished_at integer,
        trained_tokens integer,
        fine_tuned_model text,
        result_file text,
        error text,                        -- JSON: code, message, param
        claim text,                        -- token of the process that may write for this job
        crashes integer not null default 0 -- training processes that died in a row without a step done
    );
    create index jobs_by_project on jobs (project, seq);
    create index jobs_by_status on jobs (status, queued_at);

    create table events (
        seq integer primary key autoincrement,
        id text not null unique,
        job_id text not null references jobs (id),
        key text not null,                 -- what the event is about: the same thing is never told twice
        created_at integer not null,
        level text not null,
        type text not null,
        message text not null,
        data text,
        unique (job_id, key)
    );

    create table steps (
        job_id text not null references jobs (id),
        step integer not null,
        report text not null,              -- JSON of the engine's StepReport
        primary key (job_id, step)
    );

    create table models (
        seq integer primary key autoincrement,
        id text not null unique,
        project text not null,
        base_model text not null,
        adapter text not null,             -- hash of the adapter's folder
        job_id text not null references jobs (id),
        parent text not null,              -- the model that training started from
        kind text not null,                -- "model" or "checkpoint"
        created_at integer not null
    );
    create index models_by_project on models (project, seq);
    create index models_by_adapter on models (adapter);

    create table checkpoints (
        seq integer primary key autoincrement,
        id text not null unique,
        job_id text not null references jobs (id),
        step integer not null,
        model text not null,
        metrics text not null,             -- JSON
        created_at integer not null,
        unique (job_id, step)
    );
    """,
    """
    alter table jobs add column api text not null default 'fine_tuning';
                                           -- the API that created it: its model's name and its result file follow from it
    alter table jobs add column classification text; -- JSON: n_classes, positive_class, betas
    alter table jobs add column deleted_at integer;  -- its owner does not want to see it any more
    create index events_by_job on events (job_id, seq);
    """,
    """
    alter table jobs add column parent_job text references jobs (id); -- whose model it continues from; null: from a base model
    update jobs set parent_job = (select job_id from models where models.id = jobs.model) where start_from is not null;
    """,
    """
    alter table jobs add column round integer;       -- of the queue: each project has one turn a round
    update jobs set round = (
        select count(*) from jobs as earlier where earlier.project = jobs.project and earlier.status in ('queued', 'running')
        and (earlier.queued_at, earlier.seq) <= (jobs.queued_at, jobs.seq)) where status in ('queued', 'running');
    create index jobs_by_turn on jobs (status, round, seq);
    create index jobs_by_round on jobs (project, round);
    create index jobs_by_last_round on jobs (round) where started_at is not null;
    alter table jobs add column claimed_at real;     -- when the run of now began, and after which step
    alter table jobs add column claimed_step integer;
    alter table models add column bytes integer not null default 0; -- of the adapter's folder
    """,
    """
    create index jobs_unfinished on jobs (project) where finished_at is null; -- few, however many jobs there have been
    """,
]


class DatabaseTooNew(RuntimeError):
    """The data directory was written by a newer version of this software."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, each step in its own transaction. Raises DatabaseTooNew."""
    done = connection.execute("pragma user_version").fetchone()[0]
    if done > len(MIGRATIONS):
        raise DatabaseTooNew(f"{path} has schema version {done}, this version of the local API knows {len(MIGRATIONS)}: "
                             "use the version that wrote it, or another --data-dir")
    for version, script in enumerate(MIGRATIONS[done:], start=done + 1):
        # Two processes that open a new directory at once: the second waits for the lock, then finds the work done.
        connection.execute("begin immediate")
        try:
            if connection.execute("pragma user_version").fetchone()[0] < version:
                for statement in filter(str.strip, statements(script)):
                    connection.execute(statement)
                connection.execute(f"pragma user_version = {version}")
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")


def statements(script: str) -> list[str]:
    """The single statements of a script (`executescript` would commit the open transaction)."""
    result, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            result.append(current)
            current = ""
    return [*result, current]
