"""Stops the local API server of a data directory. It knows the discovery file and /health, and nothing else of the server.

The standard library alone, since it must work when `.venv` is broken.

    stop(Path(".local_api"))     # True if one was running
"""

import json
import os
import signal
import time
import urllib.request
from pathlib import Path


def is_healthy(url: str, instance: str) -> bool:
    """Whether that very server answers; the process number of a dead one may belong to anybody by now."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    try:
        with opener.open(url + "/health", timeout=5) as answer:
            return json.load(answer).get("instance") == instance
    except (OSError, ValueError):
        return False


def stop(data_dir: Path, *, patience: float = 15.0) -> bool:
    """Ask the server of `data_dir` to end and wait until it has. TimeoutError names the process that does not."""
    discovery = data_dir / "server.json"  # removed by the server when it ends
    try:
        server = json.loads(discovery.read_text(encoding="utf-8"))
        url, pid, instance = str(server["url"]), int(server["pid"]), str(server["instance"])
    except (FileNotFoundError, ValueError, KeyError):
        return False
    if not is_healthy(url, instance):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while discovery.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"The server of {data_dir} (process {pid}) has not ended {patience:g} s after SIGTERM. "
                               f"End it with `kill -9 {pid}`: no job is lost by that.")
        time.sleep(0.1)
    return True
