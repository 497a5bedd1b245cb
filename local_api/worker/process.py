"""The child process that trains one job: `python -m local_api.worker.process JOB CLAIM`, settings as JSON on its input.

It ends at once when its input closes: a server that died, however it died, leaves no process behind that trains on.
"""

import json
import os
import sqlite3
import sys
import threading
import time
from pathlib import Path

from local_api import logs
from local_api.engines import load_engine
from local_api.store import Store
from local_api.worker.run_job import DISK_FULL_STATUS, JobRun


def end_with_parent() -> None:
    """Wait for the end of standard input, which only the server holds open."""
    while os.read(0, 1024):
        pass
    os._exit(3)


def main() -> None:
    job_id, claim = sys.argv[1:]
    settings = json.loads(sys.stdin.buffer.readline())
    logs.set_up(settings["log"])
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.nice(5)  # the server's answers, and the notebook that waits for them, come first
    engine = load_engine(settings["engine"], Path(settings["cache_dir"]), **settings["options"])
    store = Store(Path(settings["data_dir"]), clock=time.time)
    job = store.db.row("select * from jobs where id = ? and claim = ?", job_id, claim)
    if job is not None:
        try:
            JobRun(store, engine, job, settings["organization"]).run()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            sys.exit(DISK_FULL_STATUS)
    store.close()


if __name__ == "__main__":
    main()
