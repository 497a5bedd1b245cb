"""A queue that an older version left: its jobs keep their order, and projects take turns from now on."""

from contextlib import closing

from local_api.store import migrations
from local_api.store.db import Database
from local_api.store.jobs import Jobs


def test_a_queue_of_an_older_version_goes_on_in_turns(tmp_path, monkeypatch, clock):
    path = tmp_path / "db.sqlite3"
    monkeypatch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:3])
    with closing(Database(path)) as old, old.transaction() as connection:
        for number, (project, status) in enumerate([("ann", "running"), ("ann", "queued"), ("ann", "queued"), ("bob", "queued"), ("bob", "failed")]):
            connection.execute(
                "insert into jobs (id, project, model, base_model, status, training_file, training_sha256, seed, method, requested, "
                "created_at, queued_at, started_at) values (?, ?, 'm', 'm', ?, 'f', 's', 1, 'supervised', '{}', 1, ?, ?)",
                (f"{project}-{number}", project, status, 10.0 + number, 10.0 if status == "running" else None))
    monkeypatch.undo()
    with closing(Database(path)) as new:
        jobs = Jobs(new, clock)
        assert [jobs.ahead(jobs.current(name)) for name in ("ann-1", "ann-2", "bob-3")] == [2, 3, 1]
        assert [jobs.claim()["id"] for _ in range(3)] == ["bob-3", "ann-1", "ann-2"]
