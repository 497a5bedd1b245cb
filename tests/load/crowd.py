"""A crowd at one server, a key for each: does every call succeed, how long does it take, and does anybody see what is another's?

    python -m tests.load.crowd --clients 30 --seconds 300
    python -m tests.load.crowd --engine lora --clients 10 --jobs 1      # small jobs of the real engine: all end, in fair order

Reports calls, failures and latency by kind of call; ends with status 1 where a call failed, an answer crossed from one project
to another, a job did not succeed, or the queue was unfair. Latency is the client's, which shares the machine with the server:
tell it only of a machine on which nothing else runs.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import openai
import platformdirs
import psutil

from benchmarks.report import table
from local_api.store.jobs import ENDED
from tests.load.checks import database, faults, unfair
from tests.load.visitor import LOOK_SECONDS, ROWS, Board, Failed, Visitor
from tests.servers import ServerProcess

CALL_SECONDS = 600.0  # after which a call has failed


def keys_for(path: Path, names: list[str]) -> dict[str, str]:
    """A keys file, and the key of each name."""
    made = subprocess.run([sys.executable, "-m", "local_api.keys", "add", "--keys", str(path), *names], check=True,
                          capture_output=True, text=True).stdout
    return dict(line.split() for line in made.splitlines())


async def crowd(server: ServerProcess, keys: dict[str, str], *, seconds: float, jobs: int, pause: float, seed: int) -> Board:
    """Everybody at once: for so many seconds, or, where `jobs` is not 0, until each has had so many jobs trained."""
    board, url = Board(), f"{server.url}/v1"
    clients = [openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=CALL_SECONDS) for key in keys.values()]
    visitors = [Visitor(client, number=number, board=board, chance=random.Random(f"{seed}/{number}"), pause=pause)
                for number, client in enumerate(clients)]
    until = time.monotonic() + seconds
    try:
        await asyncio.gather(*(train(visitor, jobs) if jobs else visitor.visit(until) for visitor in visitors))
    finally:
        for client in clients:
            await client.close()
    return board


async def train(visitor: Visitor, jobs: int) -> None:
    """All jobs ordered at once, then followed to their end; each new model answers."""
    try:
        visitor.base = (await visitor.timed("list models", visitor.client.models.list())).data[0].id
        orders = [await visitor.order() for _ in range(jobs)]
        for _, job in orders:
            while job.status not in ENDED:
                await asyncio.sleep(LOOK_SECONDS)
                job = await visitor.timed("look at a job", visitor.client.fine_tuning.jobs.retrieve(job.id))
            visitor.board.ended[job.status] += 1
            if job.status == "succeeded":
                await visitor.enjoy(job)
        await visitor.intrude()
    except Failed:
        visitor.board.failures["a visitor gave up"] += 1


def latencies(board: Board) -> str:
    rows = []
    for kind, seconds in sorted(board.seconds.items()):
        p50, p95, p99 = (1000 * value for value in np.percentile(seconds, [50, 95, 99]))
        rows.append([kind, len(seconds), float(p50), float(p95), float(p99), 1000 * max(seconds)])
    calls = [second for kind, seconds in board.seconds.items() if "first chunk" not in kind for second in seconds]
    rows.append(["all", len(calls), *(float(1000 * value) for value in np.percentile(calls, [50, 95, 99])), 1000 * max(calls)])
    return table("Calls", ["call", "number", "p50 (ms)", "p95 (ms)", "p99 (ms)", "longest (ms)"], rows)


def queue(data_dir: Path) -> str:
    with database(data_dir) as connection:
        rows = connection.execute("select project, queued_at, started_at, status, finished_at - created_at as took "
                                  "from jobs where started_at is not null order by started_at").fetchall()
    first = rows[0]["queued_at"]
    return table("Jobs in the order in which they were begun", ["project", "queued (s)", "begun (s)", "ended as", "took, waiting too (s)"],
                 [[row["project"], row["queued_at"] - first, row["started_at"] - first, row["status"], row["took"]] for row in rows])


def run(folder: Path, options: argparse.Namespace) -> tuple[Board, list[str], str]:
    """The crowd on a server of its own. Returns what it met, what does not hold, and what else there is to tell."""
    keys = keys_for(folder / "keys.toml", [f"p{number:03}" for number in range(options.clients)])
    environment = {"LOCAL_API_MOCK_STEP_SECONDS": "0.01"} if options.engine == "mock" else {}
    server = ServerProcess(folder / "data", platformdirs.user_cache_path("fine-tuning-cookbook"), engine=options.engine,
                           environment=environment)
    server.start("--keys", str(folder / "keys.toml"))
    try:
        began = time.monotonic()
        board = asyncio.run(crowd(server, keys, seconds=options.seconds, jobs=options.jobs, pause=options.pause, seed=options.seed))
        told = f"{options.clients} clients, {time.monotonic() - began:.0f} s, jobs: {dict(board.ended)}, {resident(server)}.\n"
        server.stop()
    finally:
        server.kill()
    with database(server.data_dir) as connection:
        found = [*board.crossed, *(f"{n} x {failure}" for failure, n in board.failures.items()), *unfair(connection)]
    if "Traceback" in server.whole_log():
        found.append(f"the server's log has a traceback: {server.whole_log().partition('Traceback')[2][:2000]}")
    if options.jobs:
        told += "\n" + queue(server.data_dir)
        found += faults(server.data_dir)
        found += [] if set(board.ended) == {"succeeded"} else [f"jobs ended as {dict(board.ended)}"]
    return board, found, told


def resident(server: ServerProcess) -> str:
    memory = psutil.Process(server.process.pid).memory_info().rss
    return f"the server held {memory / 2**20:.0f} MiB at the end"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.crowd", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=30, help="how many (%(default)s)")
    parser.add_argument("--seconds", type=float, default=300, help="how long (%(default)s)")
    parser.add_argument("--jobs", type=int, default=0, help=f"instead of a time: jobs of {ROWS} examples for each client")
    parser.add_argument("--engine", choices=["mock", "lora"], default="mock")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two things that one does, on average (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        board, found, told = run(Path(folder), options)
    print(latencies(board))
    print(told)
    print("\n".join(["What does not hold:", *found[:50]]) if found else "No call failed, no answer crossed.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
