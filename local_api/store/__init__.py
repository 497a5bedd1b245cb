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
from local_api.store.steps import Steps

__all__ = ["Store"]


class Store:
    """One data directory. Safe to use from several threads and processes at once."""

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir
        self.db = Database(data_dir / "local_api.sqlite3")
        self.contents = Contents(data_dir)
        self.files = Files(self.db, clock)
        self.events = Events(self.db, clock)
        self.steps = Steps(self.db)
        self.jobs = Jobs(self.db, clock)
        self.models = Models(self.db, clock)
        self.checkpoints = Checkpoints(self.db, clock)

    def work_dir(self, job_id: str) -> Path:
        """The folder that a running job's engine keeps its state in."""
        return self.data_dir / "work" / job_id

    def close(self) -> None:
        self.db.close()
