"""Mock servers: the same chat requests at ours with the mock engine, and at the mock servers of PyPI and npm, in turn.

Once one question again and again, as a load test asks, and once another question each time: ours remembers what a project has
asked lately. The requests have the bytes that the official client sends. Every server runs as its documentation starts it, one
process each, and must first answer the official client. Peers that are not in the cache are installed first, which needs the
network.

    python -m benchmarks.mock_servers
"""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import openai
import psutil

from benchmarks.load import HEAD_ENDS, numbered, requests_per_second
from benchmarks.overhead import free_port, running
from benchmarks.peers import KEY, PEERS, Peer, install, missing
from benchmarks.report import in_turn, table

CONNECTIONS = 8
SECONDS = 3.0
ROUNDS = 5
NUMBER, QUESTIONS = "00000", 10_000
QUESTION = f"Where is my parcel {NUMBER}?"
SAME, OTHER = "one question", "new questions"
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
        self.measures: dict[tuple[str, str], Callable[[], float]] = {}  # by server and questions
        self.cpu: dict[tuple[str, str], list[float]] = {}  # microseconds a request, of each round
        self.absent: dict[str, str] = {}

    def add(self, title: str, model: str, start: Callable[[int], subprocess.Popen]) -> None:
        port = free_port()
        try:
            process = start(port)
            ask(port, model)
            request = sent(port, model)
            requests = {SAME: itertools.repeat(request), OTHER: numbered(request, NUMBER.encode(), QUESTIONS)}
            for each in requests.values():  # compilers at run time warm up
                requests_per_second(port, each, connections=CONNECTIONS, seconds=1.0)
        except AssertionError:
            self.absent[title] = "did not start"
            return
        except (OSError, ValueError, openai.OpenAIError) as error:
            self.absent[title] = str(error).splitlines()[0][:150] or type(error).__name__
            return
        for questions, each in requests.items():
            self.measures[title, questions] = partial(self.measure, (title, questions), process, port, each)

    def measure(self, key: tuple[str, str], process: subprocess.Popen, port: int, requests: Iterator[bytes]) -> float:
        before = cpu_seconds(process)
        speed = requests_per_second(port, requests, connections=CONNECTIONS, seconds=SECONDS)
        self.cpu.setdefault(key, []).append((cpu_seconds(process) - before) / (speed * SECONDS) * 1e6)
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


def report(speed: dict[tuple[str, str], float], contest: Contest) -> str:
    best = {questions: max((value for (title, asked), value in speed.items() if asked == questions and title != OURS),
                           default=float("nan")) for questions in (SAME, OTHER)}
    titles = sorted({title for title, _ in speed}, key=lambda title: -speed[title, SAME])
    rows = [[title, *(value for asked in (SAME, OTHER) for value in (
        speed[title, asked], speed[title, asked] / best[asked], sorted(contest.cpu[title, asked])[ROUNDS // 2]))]
            for title in titles]
    note = (f"One chat completion as the official client sends it, on {CONNECTIONS} connections from one process, {SECONDS:g} s "
            f"a run, median of {ROUNDS} runs in turn. Every server is one process as its documentation starts it, with one rule "
            "that answers the questions where it needs a rule; its processor time is that of a request. The same question comes "
            f"again and again, or one of {QUESTIONS:,} in turn: the local API remembers what it was asked lately, and of those "
            "none.")
    if contest.absent:
        note += " Not measured: " + "; ".join(f"{title} ({why})" for title, why in contest.absent.items()) + "."
    columns = [column for asked in (SAME, OTHER) for column in (f"{asked}, requests/s", "times the best peer", "processor, µs")]
    return table("Mock servers", ["server", *columns], rows, note)


if __name__ == "__main__":
    main()
