"""Mock servers: the same chat request at ours with the mock engine, and at the mock servers of PyPI and npm, in turn.

The request has the bytes that the official client sends. Every server runs as its documentation starts it, one process each,
and must first answer the official client. Peers that are not in the cache are installed first, which needs the network.

    python -m benchmarks.mock_servers
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import openai
import psutil

from benchmarks.load import HEAD_ENDS, requests_per_second
from benchmarks.overhead import free_port, running
from benchmarks.peers import KEY, PEERS, QUESTION, Peer, install, missing
from benchmarks.report import in_turn, table

CONNECTIONS = 8
SECONDS = 3.0
ROUNDS = 5
OURS = "local API, mock engine"


def ask(port: int, model: str) -> str:
    """What the official client reads from a server. Raises OpenAIError, and ValueError for an answer without text."""
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}])
    if not answer.choices or not answer.choices[0].message.content:
        raise ValueError("the answer holds no text")
    return answer.choices[0].message.content


def sent(port: int, model: str) -> bytes:
    """The bytes of the official client's request, for a server at that port: caught by a listener that hangs up."""
    caught: list[bytes] = []

    def listen(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            came = b""
            while not came.partition(HEAD_ENDS)[2].endswith(b"}"):
                came += connection.recv(1 << 16)
            caught.append(came)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen, args=(listener,))
        thread.start()
        own = listener.getsockname()[1]
        try:
            ask(own, model)
        except openai.APIConnectionError:
            thread.join()
    return caught[0].replace(f"127.0.0.1:{own}".encode(), f"127.0.0.1:{port}".encode(), 1)


def cpu_seconds(process: subprocess.Popen) -> float:
    """Of a server and the processes that it has started."""
    root = psutil.Process(process.pid)
    return sum(sum(each.cpu_times()[:2]) for each in (root, *root.children(recursive=True)))


def ours(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "local_api", "--data-dir", str(folder), "--port", str(port), "--engine", "mock"]


def started(peer: Peer, stack: ExitStack, folder: Path, port: int) -> subprocess.Popen:
    """The process of a peer, which ends with the stack; AssertionError where it does not start."""
    for name, text in peer.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    environment = {**os.environ, **({peer.port_in: str(port)} if peer.port_in else {})}
    return stack.enter_context(running(peer.command(str(peer.path()), port), port, cwd=folder, env=environment,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


class Contest:
    """The servers that answer, by title, and why the others do not."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.measures: dict[str, Callable[[], float]] = {}
        self.cpu: dict[str, list[float]] = {}  # microseconds a request, of each round
        self.absent: dict[str, str] = {}

    def add(self, title: str, model: str, start: Callable[[int], subprocess.Popen]) -> None:
        port = free_port()
        try:
            process = start(port)
            ask(port, model)
            request = sent(port, model)
            requests_per_second(port, request, connections=CONNECTIONS, seconds=1.0)  # compilers at run time warm up
        except AssertionError:
            self.absent[title] = "did not start"
            return
        except (OSError, ValueError, openai.OpenAIError) as error:
            self.absent[title] = str(error).splitlines()[0][:150] or type(error).__name__
            return
        self.measures[title] = lambda: self.measure(title, process, port, request)

    def measure(self, title: str, process: subprocess.Popen, port: int, request: bytes) -> float:
        before = cpu_seconds(process)
        speed = requests_per_second(port, request, connections=CONNECTIONS, seconds=SECONDS)
        self.cpu.setdefault(title, []).append((cpu_seconds(process) - before) / (speed * SECONDS) * 1e6)
        return speed


def prepare() -> dict[str, str]:
    """Install what is not there; why some could not be."""
    tools = {"npm": shutil.which("npm"), "PyPI": sys.executable}
    failed = {}
    for peer in PEERS:
        if missing(peer):
            why = install(peer) if tools[peer.registry] else f"{peer.registry} is not installed"
            if why:
                failed[peer.title] = why
    return failed


def main() -> None:
    failed = prepare()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        contest = Contest(stack)
        contest.absent.update(failed)
        environment = {**os.environ, "LOCAL_API_KEY": KEY}
        contest.add(OURS, "mock-base", lambda port: stack.enter_context(running(
            ours(Path(folder) / "ours", port), port, env=environment, stdout=subprocess.DEVNULL)))
        for number, peer in enumerate(PEERS):
            if peer.title not in failed:
                own = Path(folder) / str(number)
                own.mkdir()
                contest.add(peer.title, peer.model, lambda port, peer=peer, own=own: started(peer, stack, own, port))
        speed = in_turn(contest.measures, ROUNDS)
    print(report(speed, contest))


def report(speed: dict[str, float], contest: Contest) -> str:
    best = max((value for title, value in speed.items() if title != OURS), default=float("nan"))
    rows = [[title, value, value / best, sorted(contest.cpu[title])[ROUNDS // 2]]
            for title, value in sorted(speed.items(), key=lambda item: -item[1])]
    note = (f"One chat completion as the official client sends it, on {CONNECTIONS} connections from one process, {SECONDS:g} s "
            f"a run, median of {ROUNDS} runs in turn. Every server is one process as its documentation starts it, with one rule "
            "that answers the question where it needs a rule.")
    if contest.absent:
        note += " Not measured: " + "; ".join(f"{title} ({why})" for title, why in contest.absent.items()) + "."
    return table("Mock servers", ["server", "requests/s", "times the best peer", "processor time a request, µs"], rows, note)


if __name__ == "__main__":
    main()
