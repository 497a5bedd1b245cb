"""Kill the server, and now and then its training process alone, at random moments of a day; then look whether all still holds.

    python -m tests.load.kill_day --kills 50 --seed 1

Some moments are aimed at: an upload on its way, an adapter just written, just kept, a result file just kept. After each kill
the database is checked as it was left, then the server starts anew. At the end every job has ended, and the data directory and
all that any answer has promised are gone through. Ends with status 1 where something does not hold. Needs a POSIX system.
"""

import argparse
import contextlib
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import openai
import psutil

from benchmarks.report import table
from tests.load.checks import database, faults, in_use, strays, unsound
from tests.load.day import PATIENCE, Day
from tests.servers import KEY, ServerProcess, wait_until

STEP_SECONDS = "0.05"
LOOK_SECONDS = 0.001
WAIT_FOR_MOMENT = 20.0
MET = ("validating", "queued", "training", "upload or copy half there", "file without a row", "adapter without a row")


def entries(place: Path, pattern: str) -> Callable[[], set[str]]:
    def look() -> set[str]:
        while True:
            with contextlib.suppress(FileNotFoundError):  # a folder that goes while it is read: look again
                return {str(path) for path in place.glob(pattern)}
    return look


class Killer:
    """Chooses moments, strikes, and notes what was going on."""

    def __init__(self, server: ServerProcess, chance: random.Random, port: int) -> None:
        self.server, self.random, self.port = server, chance, port
        self.struck, self.met, self.found = Counter[str](), dict[str, Counter[str]](), list[str]()
        self.progress: dict[str, int] = {}  # steps of a job when its training process was killed last
        folder = server.data_dir
        self.moments: dict[str, Callable[[], set[str]] | None] = {
            "any moment": None, "an upload comes": entries(folder, "incoming/*"), "a job begins": entries(folder, "work/*"),
            "an adapter is written": entries(folder, "work/*/epoch-*"), "an adapter is kept": entries(folder, "adapters/*"),
            "a file is kept": entries(folder, "files/*")}

    def wait(self, moment: str) -> None:
        """Until something new is there (or for a random while), and then up to 20 ms."""
        look = self.moments[moment]
        if look is None:
            time.sleep(self.random.uniform(0, 4))
            return
        known, deadline = look(), time.monotonic() + WAIT_FOR_MOMENT
        while (now := look()) <= known and time.monotonic() < deadline:
            known = now
            time.sleep(LOOK_SECONDS)
        time.sleep(self.random.choice([0, self.random.uniform(0, 0.02)]))

    def strike(self) -> None:
        moment = self.random.choice(list(self.moments))
        self.wait(moment)
        trainers = children(self.server)
        if trainers and self.random.random() < 0.25 and self.has_gone_on(trainers[0]):
            with contextlib.suppress(psutil.Error):
                trainers[0].kill()
            self.struck[f"{moment} (the training process)"] += 1
            return
        self.server.kill()
        wait_until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in trainers),
                   what="the end of the orphaned training process", seconds=PATIENCE)
        self.struck[moment] += 1
        self.examine(moment)
        self.start()

    def start(self) -> None:
        self.server.start("--port", str(self.port))

    def has_gone_on(self, trainer: psutil.Process) -> bool:
        """Whether a job has done a step since its training process was last killed: three times without, and it may fail."""
        with contextlib.suppress(psutil.Error, IndexError), in_use(self.server.data_dir) as connection:
            job = trainer.cmdline()[-2]
            steps = connection.execute("select count(*) from steps where job_id = ?", (job,)).fetchone()[0]
            before, self.progress[job] = self.progress.get(job, -1), steps
            return steps > before
        return False

    def examine(self, moment: str) -> None:
        """The database as the dead left it, and what they were doing."""
        with database(self.server.data_dir) as connection:
            self.found += [f"after a kill when {moment}: {each}" for each in unsound(connection)]
            left = strays(connection, self.server.data_dir)
            status = {row[0] for row in connection.execute("select distinct status from jobs")}
        now = (("validating_files" in status), ("queued" in status), ("running" in status), bool(left["incoming"]),
               bool(left["files"]), bool(left["adapters"]))
        self.met.setdefault(moment, Counter()).update(name for name, is_so in zip(MET, now, strict=True) if is_so)


def children(server: ServerProcess) -> list[psutil.Process]:
    """The training processes of a server."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(server.process.pid).children():
            if child.is_running() and any("local_api.worker.process" in part for part in child.cmdline()):
                found.append(child)
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def live_through(folder: Path, *, kills: int, seed: int, pupils: int) -> tuple[Killer, Day, list[str]]:
    """The whole day. Returns who killed, who lived, and what does not hold."""
    server = ServerProcess(folder / "data", folder / "cache", environment={"LOCAL_API_MOCK_STEP_SECONDS": STEP_SECONDS})
    killer = Killer(server, random.Random(f"{seed}/kills"), free_port())
    killer.start()
    try:
        with openai.OpenAI(base_url=f"http://127.0.0.1:{killer.port}/v1", api_key=KEY, max_retries=0, timeout=PATIENCE) as client:
            day = Day(client, client.models.list().data[0].id, seed=seed, pupils=pupils)
            day.begin()
            for _ in range(kills):
                killer.strike()
            day.end()
            wait_until(lambda: not unfinished(server.data_dir), what="the end of all jobs", seconds=PATIENCE)
            server.stop()
            killer.start()  # what a training process that was killed left lying is swept at a start
            found = day.broken_promises()
            server.stop()
    finally:
        server.kill()
    if "Traceback" in server.whole_log():
        found.append(f"the server's log has a traceback: {server.whole_log().partition('Traceback')[2][:2000]}")
    return killer, day, [*killer.found, *found, *faults(server.data_dir)]


def unfinished(data_dir: Path) -> int:
    with in_use(data_dir) as connection:
        return connection.execute("select count(*) from jobs where finished_at is null").fetchone()[0]


def report(killer: Killer, day: Day) -> str:
    rows = [[moment, count, *(killer.met.get(moment, Counter())[name] or "" for name in MET)]
            for moment, count in sorted(killer.struck.items())]
    done = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sorted(day.done().items()))
    promised = Counter({"files": 0, "jobs": 0, "models": 0})
    for pupil in day.pupils:
        promised.update(files=len(pupil.ledger.files), jobs=len(pupil.ledger.jobs), models=len(pupil.ledger.models))
    return table(f"{sum(killer.struck.values())} kills", ["killed when", "kills", *MET], rows,
                 f"Of the kills of the server, how often that was found to be going on. The day: {done}. Acknowledged and gone "
                 "through afterwards: " + ", ".join(f"{n} {what}" for what, n in promised.items()) + ".")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.kill_day", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="how often (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the day and of the moments (%(default)s)")
    parser.add_argument("--pupils", type=int, default=3, help="how many do things at the same time (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        killer, day, found = live_through(Path(folder), kills=options.kills, seed=options.seed, pupils=options.pupils)
    print(report(killer, day))
    print("\n".join(["What does not hold:", *found]) if found else "Everything holds.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
