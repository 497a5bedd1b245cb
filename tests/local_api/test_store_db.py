"""The database: migrations, transactions, threads and processes, paging."""

import re
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_api.store import ForeignDirectory, Store, migrations
from local_api.store.db import Database
from local_api.store.migrations import MIGRATIONS, DatabaseTooNew
from local_api.store.quotas import Quota, check_jobs

TABLES = {"files", "jobs", "events", "steps", "models", "checkpoints"}


@pytest.fixture
def database(tmp_path):
    with closing(Database(tmp_path / "db.sqlite3")) as opened:
        opened.connection.execute("create table notes (seq integer primary key, id text unique, topic text)")
        yield opened


def tables(database):
    return {row["name"] for row in database.rows("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")}


def add(database, *names, topic="a"):
    with database.transaction() as connection:
        connection.executemany("insert into notes (id, topic) values (?, ?)", [(name, topic) for name in names])


def names(database):
    return [row["id"] for row in database.rows("select id from notes order by seq")]


def test_an_empty_file_becomes_todays_schema_and_stays_it(tmp_path):
    for _ in range(2):
        with closing(Database(tmp_path / "db.sqlite3")) as database:
            assert tables(database) == TABLES
            assert database.row("pragma user_version")[0] == len(MIGRATIONS)
            assert database.row("pragma journal_mode")[0] == "wal" and database.row("pragma foreign_keys")[0] == 1
            assert database.row("pragma synchronous")[0] == 2, "full: what was acknowledged survives a power cut"


def test_only_the_steps_that_are_missing_are_made(tmp_path, monkeypatch):
    Database(tmp_path / "db.sqlite3").close()
    monkeypatch.setattr(migrations, "MIGRATIONS", [*MIGRATIONS, "create table later (x); -- with a comment; and a semicolon\n"
                                                                "create index later_by_x on later (x);"])
    with closing(Database(tmp_path / "db.sqlite3")) as database:
        assert tables(database) == TABLES | {"later"} and database.row("pragma user_version")[0] == len(MIGRATIONS) + 1


def test_a_step_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(migrations, "MIGRATIONS", [*MIGRATIONS, "create table later (x);\ncreate table files (y);"])
    with pytest.raises(sqlite3.OperationalError, match="files already exists"):
        Database(tmp_path / "db.sqlite3")
    monkeypatch.undo()
    with closing(Database(tmp_path / "db.sqlite3")) as database:
        assert tables(database) == TABLES


def test_a_newer_schema_is_refused_with_advice(tmp_path):
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as connection:
        connection.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(DatabaseTooNew, match=f"schema version {len(MIGRATIONS) + 1}, this version of the local API knows {len(MIGRATIONS)}"):
        Database(tmp_path / "db.sqlite3")


def test_several_processes_may_open_a_new_folder_at_once(tmp_path):
    code = ("import sys, time; from pathlib import Path; from local_api.store import Store; print(flush=True); sys.stdin.readline(); "
            "store = Store(Path(sys.argv[1]), clock=time.time); store.jobs.unfinished(); store.close()")
    children = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "data")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for _ in range(3)]
    for child in children:
        assert child.stdout.readline(), "it is ready"
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    assert [child.communicate()[1] for child in children] == [b""] * 3
    assert [child.returncode for child in children] == [0] * 3


def test_what_was_written_is_seen_by_another_connection_only_after_the_end(database):
    with closing(Database(database.path)) as other:
        with database.transaction() as connection:
            connection.execute("insert into notes (id) values ('x')")
            assert names(other) == []
        assert names(other) == ["x"]


def test_an_error_takes_everything_back(database):
    add(database, "before")
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute("insert into notes (id) values ('x')")
        _ = 1 / 0
    assert names(database) == ["before"] and not database.connection.in_transaction


def test_an_inner_transaction_belongs_to_the_outer_one(database):
    with pytest.raises(ZeroDivisionError), database.transaction():
        add(database, "inner")
        assert database.connection.in_transaction, "the inner one did not commit"
        _ = 1 / 0
    assert names(database) == []
    with database.transaction():
        add(database, "inner")
    assert names(database) == ["inner"]


def test_a_commit_that_fails_leaves_no_transaction_open(database):
    database.connection.execute("create table parts (note text references notes (id) deferrable initially deferred)")
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.execute("insert into parts values ('nobody')")
    assert not database.connection.in_transaction
    add(database, "after")
    with closing(Database(database.path)) as other:
        assert names(other) == ["after"], "later writes are kept"


def test_a_writer_waits_for_another_thread(database):
    inside, wrote = threading.Event(), []

    def write():
        inside.wait()
        add(database, "second")
        wrote.append(True)
    thread = threading.Thread(target=write)
    thread.start()
    with database.transaction() as connection:
        inside.set()
        connection.execute("insert into notes (id) values ('first')")
        assert wrote == []
    thread.join()
    assert names(database) == ["first", "second"]


def test_a_thread_that_ends_takes_its_connection_with_it(database):
    opened = []

    def use():
        opened.append(database.connection)
        assert database.connection is opened[-1]
    for _ in range(3):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert len(set(map(id, opened))) == 3
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("select 1")
    assert names(database) == [], "this thread's own still works"


def test_closing_closes_the_connections_of_all_threads(tmp_path):
    database, opened, done = Database(tmp_path / "db.sqlite3"), [], threading.Event()

    def use():
        opened.append(database.connection)
        done.wait()
    thread = threading.Thread(target=use)
    thread.start()
    while not opened:
        done.wait(0.001)
    mine = database.connection
    database.close()
    done.set()
    thread.join()
    for connection in (mine, *opened):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("select 1")


def page(database, limit, after=None, **options):
    rows, more = database.page("notes", "topic = ?", ["a"], limit=limit, after=after, **options)
    return [row["id"] for row in rows], more


def test_pages_are_newest_first_and_say_whether_more_follow(database):
    add(database, "1", "2", "3")
    add(database, "other", topic="b")
    assert page(database, 2) == (["3", "2"], True)
    assert page(database, 2, "2") == (["1"], False)
    assert page(database, 3) == (["3", "2", "1"], False)
    assert page(database, 3, "1") == ([], False)
    assert page(database, 2, ascending=True) == (["1", "2"], True)
    assert page(database, 2, "1", ascending=True) == (["2", "3"], False)


@pytest.mark.parametrize("after", ["nobody", "other"])
def test_a_page_cannot_begin_after_what_is_not_in_the_list(database, after):
    add(database, "1")
    add(database, "other", topic="b")
    with pytest.raises(LookupError):
        page(database, 2, after)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(n=st.integers(0, 12), limit=st.integers(1, 5), ascending=st.booleans(), n_late=st.integers(0, 3))
def test_paging_neither_loses_nor_repeats_a_row_while_others_arrive(database, n, limit, ascending, n_late):
    database.connection.execute("delete from notes")
    expected, late = [str(i) for i in range(n)], [f"late {i}" for i in range(n_late)]
    add(database, *expected)
    found, after, more = [], None, True
    while more:
        rows, more = page(database, limit, after, ascending=ascending)
        found += rows
        after = found[-1] if found else None
        if late and more:
            add(database, late.pop())
    assert [name for name in found if name in expected] == (expected if ascending else expected[::-1])
    assert len(found) == len(set(found))


@pytest.mark.parametrize("name", ["files", "adapters", "incoming", "work"])
def test_a_folder_that_holds_somebody_elses_files_is_refused(tmp_path, clock, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("three years of work")
    with pytest.raises(ForeignDirectory, match=f"is no data directory of the local API.*{name}/ is not empty"):
        Store(tmp_path, clock=clock)
    assert [path.name for path in tmp_path.rglob("*")].count("thesis.txt") == 1


def test_a_folder_with_other_things_may_become_a_data_directory(tmp_path, clock):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "files").mkdir()
    for _ in range(2):
        Store(tmp_path, clock=clock).close()
    assert (tmp_path / "notes.txt").exists()


def test_jobs_of_the_first_schema_are_kept_and_belong_to_todays_api(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:1])
        with closing(Database(tmp_path / "db.sqlite3")) as database, database.transaction() as connection:
            connection.execute("insert into jobs (id, project, model, base_model, status, training_file, training_sha256, seed, method, requested, "
                               "created_at) values ('ftjob-1', 'p', 'm', 'm', 'paused', 'f', 's', 1, 'supervised', '{}', 1)")
    with closing(Database(tmp_path / "db.sqlite3")) as database:
        job = database.row("select * from jobs")
        assert (job["id"], job["api"], job["classification"], job["deleted_at"]) == ("ftjob-1", "fine_tuning", None, None)


def test_jobs_that_continued_before_their_parents_were_noted_find_them(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:2])
        with closing(Database(tmp_path / "db.sqlite3")) as database, database.transaction() as connection:
            for number, (model, adapter) in enumerate((("base", None), ("ft:1", "a1"), ("gone", "a9")), 1):
                connection.execute("insert into jobs (id, project, model, base_model, start_from, status, training_file, training_sha256, seed, "
                                   "method, requested, created_at) values (?, 'p', ?, 'base', ?, 'paused', 'f', 's', 1, 'supervised', '{}', 1)",
                                   (f"ftjob-{number}", model, adapter))
            connection.execute("insert into models (id, project, base_model, adapter, job_id, parent, kind, created_at) "
                               "values ('ft:1', 'p', 'base', 'a1', 'ftjob-1', 'base', 'model', 1)")
    with closing(Database(tmp_path / "db.sqlite3")) as database:
        assert [row["parent_job"] for row in database.rows("select * from jobs order by seq")] == [None, "ftjob-1", None]


def test_no_question_of_a_request_reads_through_all_files_jobs_or_models(store, make_job, make_model):
    """However many there are: each finds its rows by an index. (At a start, what is unused is looked for once, in all.)"""
    job, model = make_job("queued", metadata={"course": "colours"}), make_model()
    asked: list[str] = []
    store.db.connection.set_trace_callback(asked.append)
    for ascending in (False, True):
        store.files.page("default", purpose="fine-tune", limit=5, after=None, ascending=ascending)
    store.jobs.page("default", metadata={"course": "colours"}, limit=5, after=job["id"])
    store.jobs.supervised("default"), store.jobs.lineage(job["id"]), store.jobs.ahead(job), store.jobs.next_round("default")
    store.jobs.to_validate(), store.jobs.running(), store.jobs.unfinished(), store.jobs.claim()
    store.events.page(job["id"], limit=5, after=None), store.checkpoints.page(job["id"], limit=5, after=None), store.steps.last(job["id"])
    store.models.all("default"), store.files.used("a"), store.models.used("a")
    check_jobs(store.db, "default", Quota(unfinished_jobs=100, stored_bytes=10**9))
    store.models.delete("default", model)
    store.db.connection.set_trace_callback(None)
    questions = [sql for sql in dict.fromkeys(asked) if sql.lstrip().startswith(("select", "with", "update", "delete"))]
    plans = {sql: [step[3] for step in store.db.connection.execute(f"explain query plan {sql}")] for sql in questions}
    assert len(plans) > 20
    assert {sql: plan for sql, plan in plans.items()
            if any(re.match(r"SCAN (files|jobs|models|events|steps|checkpoints)\b(?!.*jobs_unfinished)", step) for step in plan)} == {}
