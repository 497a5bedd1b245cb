"""Real server processes, as a user would start them, and the small things that everybody does with them.

For the contract tests (through their conftest) and for the scripts in `tests/load`. Knows no test.

    server = ServerProcess(data_dir, cache_dir).start()
    job = finished(server.client(), job_id)
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import openai
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

KEY = "sk-local-for-tests"
THINGS = {"cherry": "red", "sky": "blue", "moss": "green", "ruby": "red", "jeans": "blue", "fern": "green"}


@dataclass
class ServerProcess:
    """One `python -m local_api` on a data directory, started as a user would start it."""

    data_dir: Path
    cache_dir: Path
    engine: str = "mock"
    environment: dict[str, str] = field(default_factory=dict)
    key: str = KEY
    process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> "ServerProcess":
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOCAL_API_", "OPENAI_"))}
        environment |= {"LOCAL_API_KEY": self.key, "LOCAL_API_CACHE_DIR": str(self.cache_dir), **self.environment}
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local_api", "--data-dir", str(self.data_dir), "--port", "0", "--engine", self.engine,
                 *arguments], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.discovered() is not None, what="the server's discovery file")
        return self

    def discovered(self) -> dict | None:
        """The discovery file of this process, or None while it is not there."""
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with status {self.process.returncode}: {self.log()}")
        try:
            found = json.loads((self.data_dir / "server.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found if found["pid"] == self.process.pid else None

    @property
    def url(self) -> str:
        return self.discovered()["url"]

    def client(self, **options: object) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, **{"max_retries": 0, **options})

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def whole_log(self) -> str:
        return (self.data_dir / "server.log").read_text(errors="replace")

    def log(self) -> str:
        return self.whole_log()[-4000:]


def wait_until(condition: Callable[[], object], *, what: str, seconds: float = 60) -> object:
    """The first true value of `condition`, or a failure that says what did not come.

    The longer it takes, the less often it is asked: a question to the server takes time from what is waited for. The seconds
    are those that were waited here: a machine that stood still meanwhile takes none of them away.
    """
    waited = 0.0
    while waited < seconds:
        if value := condition():
            return value
        pause = min(max(0.02, waited / 10), 0.25)
        time.sleep(pause)
        waited += pause
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def colour_rows(n: int) -> list[dict[str, str]]:
    """`n` different rows of a task so small that every engine learns it: thing -> colour."""
    names = list(THINGS)
    return [{"prompt": f"{names[i % 6]} number {i // 6 + 1}\n\n###\n\n", "completion": f" {THINGS[names[i % 6]]}\n"} for i in range(n)]


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(client: openai.OpenAI, content: bytes, name: str = "train.jsonl", purpose: str = "fine-tune") -> FileObject:
    return client.files.create(file=(name, content), purpose=purpose)


def finished(client: openai.OpenAI, job_id: str, seconds: float = 120) -> FineTuningJob:
    """The job once it ended."""
    def ended() -> object:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in ("succeeded", "failed", "cancelled") else None
    return wait_until(ended, what=f"the end of {job_id}", seconds=seconds)
