"""How long do lists take where there are thousands of rows?

    python -m tests.load.lists --rows 5000

Fills the database of a server before it starts (so many files, jobs that have ended with a model each, as many that wait), and
then measures what the official client gets. Reports; judges nothing.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import openai

from benchmarks.report import table
from local_api.store import Store
from tests.servers import KEY, ServerProcess

TIMES = 5
WAITING = 500  # jobs in the queue: more than any class has


def fill(data_dir: Path, rows: int) -> None:
    """All of one project, whose jobs come from another one's file: nobody trains them."""
    store = Store(data_dir, clock=time.time)
    with store.db.transaction():
        for number in range(rows):
            file = store.files.add("default", filename=f"{number}.jsonl", purpose="fine-tune", bytes=1000, sha256="0" * 64)
            job = store.jobs.add("default", model="mock-base", base_model="mock-base", training_file=file["id"], seed=1,
                                 training_sha256="0" * 64, method="supervised", requested={"n_epochs": "auto"},
                                 metadata={"course": str(number % 7)})
            store.events.add(job["id"], "created", "Created")
            if number >= rows - WAITING:
                store.jobs.move(job["id"], "queued", resolved={"n_epochs": 3})
                store.jobs.move(job["id"], "paused")
                continue
            name = f"ft:mock-base:local::{number:08}"
            store.models.add(name, project="default", base_model="mock-base", adapter="0" * 64, job_id=job["id"],
                             parent="mock-base", kind="model")
            for status, columns in (("queued", {"resolved": {"n_epochs": 3}}), ("running", {"started_at": 1.0}),
                                    ("succeeded", {"fine_tuned_model": name, "trained_tokens": 1})):
                store.jobs.move(job["id"], status, **columns)
    store.contents.file("0" * 64).write_bytes(b"{}\n")
    store.contents.adapter("0" * 64).mkdir()
    store.close()


def calls(client: openai.OpenAI) -> dict[str, Callable[[], object]]:
    jobs = client.fine_tuning.jobs
    last = client.models.list().data[-1].id
    middle = list(jobs.list(limit=100))[1000].id
    return {
        "jobs: 20": lambda: jobs.list(), "jobs: 100": lambda: jobs.list(limit=100),
        "jobs: 100 in the middle": lambda: jobs.list(limit=100, after=middle),
        "jobs: 20 with metadata": lambda: jobs.list(metadata={"course": "3"}),
        "jobs: 20 with metadata that none has": lambda: jobs.list(metadata={"course": "x"}),
        "files: 100": lambda: client.files.list(limit=100), "files: all": lambda: client.files.list(),
        "files: none of a purpose": lambda: client.files.list(purpose="batch"),
        "models: all": lambda: client.models.list(), "a model": lambda: client.models.retrieve(last),
        "fine-tunes of the old API: all": lambda: client.get("/fine-tunes", cast_to=object),
        "upload": lambda: client.files.create(file=("a.jsonl", b'{"prompt": "a", "completion": "b"}\n'), purpose="fine-tune"),
        "upload and delete": lambda: client.files.delete(client.files.create(
            file=("a.jsonl", str(time.time()).encode()), purpose="user_data").id),
        "health": lambda: client.get(f"{str(client.base_url).removesuffix('v1/')}health", cast_to=object)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.lists", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000, help="files, and jobs (%(default)s)")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name) / "data", options.rows)
        server = ServerProcess(Path(name) / "data", Path(name) / "cache").start()
        try:
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0, timeout=600) as client:
                for what, call in calls(client).items():
                    seconds = []
                    for _ in range(TIMES):
                        began = time.perf_counter()
                        call()
                        seconds.append(time.perf_counter() - began)
                    rows.append([what, 1000 * statistics.median(seconds), 1000 * max(seconds)])
        finally:
            server.kill()
    print(table(f"{options.rows:,} files, {options.rows:,} jobs", ["call", "median (ms)", "longest (ms)"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
