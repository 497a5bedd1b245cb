"""The SQLite connection: one a thread, write-ahead log, short transactions.

    with database.transaction() as connection:      # begins at once as a writer; rolled back when the block raises
        connection.execute("update ...")
    rows = database.rows("select ... where id = ?", job_id)
"""

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_api.store.migrations import migrate

WAIT_FOR_LOCK_SECONDS = 30


class Held:
    """A thread's connection, closed when the thread ends: a server's threads come and go, open files must not add up."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.close = weakref.finalize(self, connection.close)


class Database:
    """A database file. `full` synchronisation: what was acknowledged survives a power cut, not only a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._all: weakref.WeakSet[Held] = weakref.WeakSet()
        self._guard = threading.Lock()
        migrate(self.connection, path)

    @property
    def connection(self) -> sqlite3.Connection:
        held = getattr(self._local, "held", None)
        if held is None:
            # Closing may happen in another thread than the one that opened it: at shutdown, or after its thread's end.
            connection = sqlite3.connect(self.path, timeout=WAIT_FOR_LOCK_SECONDS, isolation_level=None,
                                         check_same_thread=False)
            connection.row_factory = sqlite3.Row
            use_write_ahead_log(connection)
            connection.execute("pragma synchronous = full")
            connection.execute("pragma foreign_keys = on")
            self._local.held = held = Held(connection)
            with self._guard:
                self._all.add(held)
        return held.connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction. A transaction inside a transaction of the same thread joins the outer one."""
        connection = self.connection
        if connection.in_transaction:
            yield connection
            return
        connection.execute("begin immediate")
        try:
            yield connection
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:  # a full disk may have ended it already
                connection.execute("rollback")
            raise

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        return self.connection.execute(sql, values).fetchone()

    def page(self, table: str, where: str, values: list[object], *, limit: int, after: str | None,
             ascending: bool = False) -> tuple[list[sqlite3.Row], bool]:
        """A page of `table` in the order of its `seq`, after the row whose id is `after`; and whether more follow.

        An `after` that is not there, or does not fit `where`, gives LookupError. `table` and `where` are ours, never a
        client's text.
        """
        if after is not None:
            anchor = self.row(f"select seq from {table} where {where} and id = ?", *values, after)
            if anchor is None:
                raise LookupError(after)
            where += f" and seq {'>' if ascending else '<'} ?"
            values = [*values, anchor["seq"]]
        order = "asc" if ascending else "desc"
        found = self.rows(f"select * from {table} where {where} order by seq {order} limit ?", *values, limit + 1)
        return found[:limit], len(found) > limit

    def close(self) -> None:
        with self._guard:
            for held in self._all:
                held.close()
            self._all.clear()
        self._local = threading.local()


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a new database over, and wait for whoever does the same: this one pragma ignores the connection's time-out."""
    deadline = time.monotonic() + WAIT_FOR_LOCK_SECONDS
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
