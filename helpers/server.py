"""The local API's process: find it, start it, stop it.

Knows the files that a server keeps in its data directory (`server.json`, `api_key`, `server.log`) and its `/health`;
knows nothing of what the API does, and imports nothing of it.

    status = start_server()   # the one that runs, or a new one
    stop_server()
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import psutil

from helpers.errors import ServerError

PACKAGES = Path(__file__).resolve().parent.parent  # the folder that holds `helpers` and `local_api`
IDLE_SHUTDOWN = 1800  # seconds without a request after which a server that we started ends by itself
START_TIMEOUT = 60.0  # seconds; the first start on a slow disk reads PyTorch and the model
POLL = 0.05  # seconds
LOCKED = 3  # exit status of a server that found another one on its data directory


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server that answered just now."""

    url: str
    pid: int
    engine: str
    base_model: str
    version: str
    queue_length: int
    data_dir: Path


def data_dir() -> Path:
    """Where the local API keeps its state: LOCAL_API_DATA_DIR, else in this checkout, else the user's data folder."""
    if chosen := os.environ.get("LOCAL_API_DATA_DIR"):
        return Path(chosen).expanduser().resolve()
    if (PACKAGES / "pyproject.toml").is_file():
        return PACKAGES / ".local_api"
    return platformdirs.user_data_path("fine-tuning-cookbook")


def api_key(directory: Path) -> str:
    """The key of the server on `directory`: LOCAL_API_KEY, else the one that the server made and keeps there."""
    if key := os.environ.get("LOCAL_API_KEY"):
        return key
    try:
        return (directory / "api_key").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ServerError(f"no key for the local API: {directory / 'api_key'} cannot be read ({error.strerror}). "
                          "Set LOCAL_API_KEY to the key that the server was started with.") from error


def health(url: str, *, timeout: float = 5.0) -> dict[str, Any] | None:
    """What `GET {url}/health` answers, or None where no local API does. `url` is the origin, without `/v1`."""
    # Without proxies: a machine-wide HTTP_PROXY must not swallow what is meant for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=timeout) as answer:
            facts = json.load(answer)
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and "engine" in facts else None


def server_status() -> ServerStatus | None:
    """The server of this data directory, or None if it does not run."""
    directory = data_dir()
    try:
        found = json.loads((directory / "server.json").read_text(encoding="utf-8"))
        url, pid, instance = found["url"], found["pid"], found["instance"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    facts = health(url)
    # After a crash the file stays behind, and another program may have taken the port: only the token tells.
    if facts is None or facts.get("instance") != instance:
        return None
    return ServerStatus(url=url, pid=pid, engine=facts["engine"], base_model=facts["base_model"],
                        version=facts["version"], queue_length=facts["queue_length"], data_dir=directory)


def start_server(*, engine: str | None = None) -> ServerStatus:
    """The server of this data directory, started if it does not run. It outlives this process."""
    status = server_status() or _start(data_dir(), engine)
    if engine not in (None, "auto", status.engine):
        raise ServerError(f"the local API at {status.url} runs the engine {status.engine!r}, not {engine!r}. "
                          "Call stop_server() first, or set LOCAL_API_DATA_DIR to another folder.")
    return status


def stop_server(*, timeout: float = 15.0) -> bool:
    """Stop the server of this data directory, and wait until it is gone. False: none was running."""
    status = server_status()
    if status is None:
        return False
    deadline = time.monotonic() + timeout
    try:
        process = psutil.Process(status.pid)
        process.terminate()
        # In a container nobody may ever collect a process that ended: a zombie is gone enough.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise ServerError(f"the local API (process {status.pid}) has not stopped within {timeout:g} s. "
                                  f"Its log is {status.data_dir / 'server.log'}.")
            time.sleep(POLL)
    except psutil.NoSuchProcess:
        pass  # it ended in the meantime
    return True


def server_command(directory: Path, *options: str) -> list[str]:
    """The command line of a server on `directory`."""
    return [sys.executable, "-m", "local_api", "--data-dir", str(directory), *options]


def _spawn(directory: Path, engine: str | None) -> subprocess.Popen[bytes]:
    options = ["--port", "0", "--idle-shutdown", str(IDLE_SHUTDOWN)]
    if engine is not None:
        options += ["--engine", engine]
    with (directory / "server.log").open("ab") as log:
        # A session of its own: interrupting or closing the kernel must not end a training job.
        process = subprocess.Popen(server_command(directory, *options), stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, cwd=PACKAGES, start_new_session=True)
    # Reaps the server when it ends while this kernel lives on: it would stay as a zombie and look alive.
    threading.Thread(target=process.wait, name="local-api-reaper", daemon=True).start()
    return process


def _start(directory: Path, engine: str | None) -> ServerStatus:
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "server.log"
    log_start = log.stat().st_size if log.exists() else 0
    deadline = time.monotonic() + START_TIMEOUT
    process = _spawn(directory, engine)
    retry_at = None
    while time.monotonic() < deadline:
        if status := server_status():
            return status
        if process.poll() == LOCKED:
            # Another kernel was quicker, and its server will answer soon; or one is just ending: then it is our turn.
            retry_at = retry_at or time.monotonic() + 2
            if time.monotonic() > retry_at:
                process, retry_at = _spawn(directory, engine), None
        elif process.poll() is not None:
            break
        time.sleep(POLL)
    ended = process.poll()
    if ended is None:
        process.terminate()
    why = f"has not answered within {START_TIMEOUT:g} s" if ended in (None, LOCKED) else f"ended with status {ended}"
    raise ServerError(f"the local API {why}. The last lines of {log}:\n{_tail(log, log_start)}")


def _tail(log: Path, start: int, lines: int = 15) -> str:
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"
