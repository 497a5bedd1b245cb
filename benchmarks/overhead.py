"""Server overhead: requests a second on the mock engine, against a bare Starlette handler on the same uvicorn.

Both answer the same completion to the same request, on the same connections; the difference is what the local API does
around an answer: the key, the body checked against the client's types, the model looked up, the answer shaped. Each prompt is
another, since the local API remembers what it was asked lately.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import psutil

from benchmarks.load import numbered, requests_per_second
from benchmarks.report import in_turn, table

CONNECTIONS = 8
SECONDS = 3.0
ROUNDS = 3
NUMBER, PROMPTS = "00000", 10_000
KEY = "sk-local-benchmark"
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
import json
answer = json.loads(sys.argv[2])
async def complete(request):
    await request.body()
    return JSONResponse(answer)
uvicorn.run(Starlette(routes=[Route("/v1/completions", complete, methods=["POST"])]), port=int(sys.argv[1]),
            log_level="warning", access_log=False, lifespan="off")
"""


def request_bytes(body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    return (f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n").encode() + content


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], port: int, **options: object) -> Iterator[subprocess.Popen]:
    """A server process, from when its port takes connections to the end of the block."""
    process = subprocess.Popen(command, **options)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline and process.poll() is None, f"{command[:4]} did not start"
            time.sleep(0.05)
        yield process
    finally:
        # Some start others and leave them behind.
        family = [*psutil.Process(process.pid).children(recursive=True), process] if process.poll() is None else [process]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate()
        process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        port, bare_port = free_port(), free_port()
        environment = {**os.environ, "LOCAL_API_KEY": KEY}
        command = [sys.executable, "-m", "local_api", "--data-dir", folder, "--port", str(port), "--engine", "mock"]
        with running(command, port, env=environment, stdout=subprocess.DEVNULL):
            body = {"model": "mock-base", "prompt": f"Where is my parcel {NUMBER}?\n\n###\n\n", "max_tokens": 1}
            url = f"http://127.0.0.1:{port}/v1/completions"
            answer = httpx2.post(url, json=body, headers={"authorization": f"Bearer {KEY}"}).raise_for_status().text
            requests = numbered(request_bytes(body), NUMBER.encode(), PROMPTS)
            bare = Path(folder) / "bare.py"
            bare.write_text(BARE, encoding="utf-8")
            with running([sys.executable, str(bare), str(bare_port), answer], bare_port):
                speed = in_turn({title: partial(requests_per_second, each, requests, connections=CONNECTIONS, seconds=SECONDS)
                                 for title, each in (("bare", bare_port), ("ours", port))}, ROUNDS)
    rows = [["bare Starlette handler", speed["bare"], 1.0],
            ["local API, mock engine", speed["ours"], speed["ours"] / speed["bare"]]]
    print(table("Server overhead", ["completions of one token", "requests/s", "ratio"], rows,
                f"{CONNECTIONS} connections from one process, {SECONDS:g} s a run, median of {ROUNDS} runs taken in turn. "
                "Each prompt is another."))


if __name__ == "__main__":
    main()
