"""Server overhead: requests a second on the mock engine, against a bare Starlette handler on the same uvicorn.

Both answer the same completion to the same request, on the same connections; the difference is what the local API does
around an answer: the key, the body checked against the client's types, the model looked up, the answer shaped.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil

from benchmarks.report import in_turn, table

CONNECTIONS = 8
SECONDS = 3.0
ROUNDS = 3
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


async def one_connection(port: int, request: bytes, until: float) -> int:
    """Requests answered on one connection, one after another."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    while time.perf_counter() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        answered += 1
    writer.close()
    return answered


def requests_per_second(port: int, request: bytes) -> float:
    async def all_connections() -> float:
        start = time.perf_counter()
        counts = await asyncio.gather(*(one_connection(port, request, start + SECONDS) for _ in range(CONNECTIONS)))
        return sum(counts) / (time.perf_counter() - start)
    return asyncio.run(all_connections())


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
            body = {"model": "mock-base", "prompt": "Where is my parcel?\n\n###\n\n", "max_tokens": 1}
            url = f"http://127.0.0.1:{port}/v1/completions"
            answer = httpx2.post(url, json=body, headers={"authorization": f"Bearer {KEY}"}).raise_for_status().text
            request = request_bytes(body)
            bare = Path(folder) / "bare.py"
            bare.write_text(BARE, encoding="utf-8")
            with running([sys.executable, str(bare), str(bare_port), answer], bare_port):
                speed = in_turn({"bare": lambda: requests_per_second(bare_port, request),
                                 "ours": lambda: requests_per_second(port, request)}, ROUNDS)
    rows = [["bare Starlette handler", speed["bare"], 1.0],
            ["local API, mock engine", speed["ours"], speed["ours"] / speed["bare"]]]
    print(table("Server overhead", ["completions of one token", "requests/s", "ratio"], rows,
                f"{CONNECTIONS} connections from one process, {SECONDS:g} s a run, median of {ROUNDS} runs taken in turn."))


if __name__ == "__main__":
    main()
