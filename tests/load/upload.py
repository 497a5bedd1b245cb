"""How much memory does the server take for a large file, and how long do others wait meanwhile?

    python -m tests.load.upload --megabytes 512

Uploads JSONL through the official client, and reads from Linux the most memory that the server has ever held. Ends with status
1 where the upload took more than `MOST` MiB of it, or what was kept is not what was sent.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import openai

from local_api.store.contents import file_hash
from tests.servers import KEY, ServerProcess

MOST = 64  # MiB: some chunks of a MiB, and one line after the other as Python objects


def peak(server: ServerProcess) -> float:
    """MiB: the most that the server has held so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def write(path: Path, megabytes: int) -> None:
    """Rows of about 300 bytes, none like another."""
    left, number = megabytes * 2**20, 0
    with path.open("wb") as file:
        while left > 400:
            rows = "".join(json.dumps({"prompt": f"message {number + n} " + "x" * 250, "completion": f" {n % 7}\n"}) + "\n"
                           for n in range(min(1000, left // 400))).encode()
            left, number = left - len(rows), number + 1000
            file.write(rows)


class Onlooker(threading.Thread):
    """Asks for the list of models again and again, and notes how long it waits."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(daemon=True)
        self.client, self.over, self.waits = server.client(timeout=60), threading.Event(), list[float]()

    def run(self) -> None:
        while not self.over.wait(0.1):
            began = time.perf_counter()
            self.client.models.list()
            self.waits.append(time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.upload", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "large.jsonl", options.megabytes)
        server = ServerProcess(folder / "data", folder / "cache").start()
        try:
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0, timeout=600) as client:
                client.files.create(file=("small.jsonl", b'{"prompt": "a", "completion": "b"}\n'), purpose="fine-tune")
                before, began, onlooker = peak(server), time.perf_counter(), Onlooker(server)
                onlooker.start()
                with (folder / "large.jsonl").open("rb") as file:
                    sent = client.files.create(file=file, purpose="fine-tune")
                took, after = time.perf_counter() - began, peak(server)
                onlooker.over.set()
                onlooker.join()
            kept = folder / "data" / "files" / file_hash(folder / "large.jsonl")
            whole = kept.exists() and hashlib.sha256(kept.read_bytes()).hexdigest() == kept.name
        finally:
            server.kill()
    print(f"{sent.bytes:,} bytes in {took:.1f} s: the server's memory rose from at most {before:.0f} MiB to {after:.0f} MiB. "
          f"Meanwhile a list of models took {1000 * sorted(onlooker.waits)[len(onlooker.waits) // 2]:.0f} ms (median of "
          f"{len(onlooker.waits)}), at most {1000 * max(onlooker.waits):.0f} ms.")
    return 0 if whole and after - before <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
