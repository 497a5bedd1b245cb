"""What the server remembers: rows in SQLite, contents under their hash. Knows rows and legal transitions, nothing else.

    store = Store(data_dir, clock=time.time)
    with store.db.transaction() as connection: ...
"""

from collections.abc import Callable
from pathlib import Path

from local_api.store.checkpoints import Checkpoints
from local_api.store.contents import Contents
from local_api.store.db import Database
from local_api.store.events import Events
from local_api.store.files import Files
from local_api.store.jobs import Jobs
from local_api.store.models import Models
from local_api.store.quotas import Quota, unlimited
from local_api.store.steps import Steps

__all__ = ["ForeignDirectory", "Store"]
DATABASE = "local_api.sqlite3"


class ForeignDirectory(OSError):
    """The data directory holds somebody else's files under our folders' names: they would be swept away as unused."""


class Store:
    """One data directory. Safe to use from several threads and processes at once."""

    def __init__(self, data_dir: Path, clock: Callable[[], float], quota: Callable[[str], Quota] = unlimited) -> None:
        """`quota`: what a project may keep.

        Raises ForeignDirectory, DatabaseTooNew, or sqlite3.DatabaseError for a file that is no database.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        refuse_foreign(data_dir)
        self.data_dir = data_dir
        self.db = Database(data_dir / DATABASE)
        self.contents = Contents(data_dir)
        self.files = Files(self.db, clock, quota)
        self.events = Events(self.db, clock)
        self.steps = Steps(self.db)
        self.jobs = Jobs(self.db, clock, quota)
        self.models = Models(self.db, clock)
        self.checkpoints = Checkpoints(self.db, clock)

    def work_dir(self, job_id: str) -> Path:
        """The folder that a running job's engine keeps its state in."""
        return self.data_dir / "work" / job_id

    def drop_file(self, sha256: str) -> None:
        """Delete contents that no row names. Call it after the transaction that took the last row away: killed in between, the
        server deletes them at its next start; the other way round a row would be left without its contents."""
        with self.db.transaction():  # who brings the same content meanwhile waits, or has a row that names it
            if not self.files.used(sha256):
                self.contents.drop(self.contents.file(sha256))

    def drop_adapter(self, adapter: str) -> None:
        """The same for an adapter."""
        with self.db.transaction():
            if not self.models.used(adapter):
                self.contents.drop(self.contents.adapter(adapter))

    def close(self) -> None:
        self.db.close()


def refuse_foreign(data_dir: Path) -> None:
    """Raise ForeignDirectory where our folders have contents but there is no database that could name them."""
    if (data_dir / DATABASE).exists():
        return
    for name in ("files", "adapters", "incoming", "work"):
        folder = data_dir / name
        if folder.is_dir() and any(folder.iterdir()):
            raise ForeignDirectory(f"{data_dir} is no data directory of the local API: it has no {DATABASE}, yet {name}/ is not "
                                   "empty. Choose another folder with --data-dir; what is there would be deleted as unused")
