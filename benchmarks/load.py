"""Load for a server on this machine: requests on several connections, one at a time on each.

One thread with a selector and as little work as can be for each answer, so that the server is the slower of the two. Knows
no API: a request is HTTP as it goes over the wire, and an answer must be a 200 with a length or in chunks.

    requests_per_second(8000, itertools.repeat(request), connections=8, seconds=3.0)
"""

import itertools
import selectors
import socket
import time
from collections.abc import Iterator

HEAD_ENDS, CHUNKS_END = b"\r\n\r\n", b"\r\n0\r\n\r\n"


def numbered(request: bytes, number: bytes, count: int) -> Iterator[bytes]:
    """The request with another number of as many digits in place of `number` each time; after `count` of them the first again."""
    before, found, after = request.partition(number)
    assert found and count <= 10 ** len(number), number
    return itertools.cycle([before + b"%0*d" % (len(number), each) + after for each in range(count)])


class Connection:
    """One keep-alive connection, and the part of an answer that has come."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests, self.came = requests, b""

    def ask(self) -> None:
        self.socket.sendall(next(self.requests))

    def answered(self) -> bool:
        """Read what has come: whether the answer is whole with it."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionError(f"the server hung up after {self.came[:200]!r}")
        self.came += part
        if not whole(self.came):
            return False
        if not self.came.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"the server refused: {self.came[:2000]!r}")
        self.came = b""
        return True


def whole(answer: bytes) -> bool:
    """Whether an answer has come to its end."""
    head, ends, body = answer.partition(HEAD_ENDS)
    if not ends:
        return False
    _, named, after = head.lower().partition(b"\r\ncontent-length:")
    return len(body) >= int(after.partition(b"\r\n")[0]) if named else answer.endswith(CHUNKS_END)


def requests_per_second(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> float:
    """Answers a second; `requests` must not end. Raises ConnectionError for an answer but 200, and where the server hangs up."""
    with selectors.DefaultSelector() as selector:
        opened = [Connection(port, requests) for _ in range(connections)]
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        try:
            return counted(selector, opened, seconds)
        finally:
            for connection in opened:
                connection.socket.close()


def counted(selector: selectors.BaseSelector, opened: list[Connection], seconds: float) -> float:
    answered, begun = 0, time.perf_counter()
    for connection in opened:
        connection.ask()
    while (now := time.perf_counter()) < begun + seconds:
        for key, _ in selector.select(seconds):
            if key.data.answered():
                answered += 1
                key.data.ask()
    return answered / (now - begun)
