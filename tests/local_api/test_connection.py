"""Heads of requests have an end, long bodies are no heads, and what is found at once is answered by the connection itself."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn

from local_api.connection import HELD_SECONDS, MAX_HEAD_BYTES, MAX_HELD_BYTES, Connection, connection


@contextlib.asynccontextmanager
async def serving(app: Callable[..., Any], http: type[Connection],
                  ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, uvicorn.Server]]:
    """A server with such connections, and one of them from the client's side."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, http=http, ws="none", lifespan="off", log_level="critical", log_config=None))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        yield reader, writer, server
        writer.close()
        server.should_exit = True
        await running


def talk(begin: bytes, rest: bytes) -> bytes:
    """What the server says to these bytes, until it hangs up. It has read the first part before the rest comes."""
    async def app(scope, receive, send):
        size = 0
        while (message := await receive())["more_body"]:
            size += len(message["body"])
        size += len(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": f"{size} bytes".encode()})

    begun = asyncio.Event()

    class Told(Connection):
        def on_message_begin(self) -> None:
            super().on_message_begin()
            begun.set()

    async def run() -> bytes:
        async with serving(app, Told) as (reader, writer, _):
            writer.write(begin)
            await begun.wait()
            writer.write(rest)
            return await reader.read()
    return asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("piece", [b"a", b"a\r\nx-more: "], ids=["one header", "many headers"])
def test_a_head_that_does_not_end_is_refused(piece: bytes) -> None:
    said = talk(b"GET / HTTP/1.1\r\nhost: a\r\nx-first: ", (piece * (MAX_HEAD_BYTES + 1))[:MAX_HEAD_BYTES + 1])
    assert said.startswith(b"HTTP/1.1 400") and b"The head of the request has more than" in said


def test_a_long_body_and_a_head_of_ordinary_length_are_taken() -> None:
    size = 8 * MAX_HEAD_BYTES
    head = b"POST / HTTP/1.1\r\nhost: a\r\nx-much: " + b"a" * (MAX_HEAD_BYTES // 2)
    said = talk(head, b"\r\ncontent-length: %d\r\n\r\n" % size + b"b" * size)
    assert said.startswith(b"HTTP/1.1 200") and b"%d bytes" % size in said


def served(*parts: bytes, found: bool = True, pause: float = 0.0) -> bytes:
    """What is said to the parts of a stream of requests, the last of which closes the connection. The application says `app` and
    what it was sent, what answers at once says `now`."""
    async def app(scope, receive, send):
        whole = b""
        while (message := await receive())["more_body"]:
            whole += message["body"]
        said = b"app " + (whole + message["body"])[:20]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
        await send({"type": "http.response.body", "body": said})

    def at_once(target, headers, body):
        said = b"now " + body[:20]
        return ([(b"content-length", b"%d" % len(said))], said) if found else None

    async def run() -> bytes:
        async with serving(app, connection(at_once, frozenset({b"/now"}))) as (reader, writer, _):
            for part in parts:
                writer.write(part)
                await asyncio.sleep(pause)
            writer.write(b"GET /end HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            return await reader.read()
    return asyncio.run(asyncio.wait_for(run(), 20))


def bodies(said: bytes) -> list[bytes]:
    return [part.partition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 200 OK\r\n")[1:]]


def post(body: bytes, target: bytes = b"/now", more: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: a\r\n%scontent-length: %d\r\n\r\n%s" % (target, more, len(body), body)


CHUNKED = b"POST /now HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


@pytest.mark.parametrize("request_", [post(b"abc"), CHUNKED], ids=["length", "chunks"])
def test_what_is_found_at_once_is_the_answer_and_the_connection_goes_on(request_: bytes) -> None:
    said = served(request_, request_)
    assert bodies(said) == [b"now abc", b"now abc", b"app "]
    assert said.lower().count(b"\r\ndate: ") == 3 and said.lower().count(b"\r\nserver: ") == 3


def test_what_is_not_found_goes_to_the_application_whole() -> None:
    assert bodies(served(post(b"abc"), CHUNKED, found=False)) == [b"app abc", b"app abc", b"app "]


def test_a_body_that_follows_its_head_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_api.connection.HELD_SECONDS", 10)  # also where the machine is busy
    head, body = post(b"abc")[:-3], b"abc"
    assert bodies(served(head, body, pause=0.01)) == [b"now abc", b"app "]


def test_a_body_that_comes_too_slowly_is_the_applications() -> None:
    request = post(b"abcdef")
    said = served(request[:-6], b"abc", b"def", pause=4 * HELD_SECONDS)
    assert bodies(said) == [b"app abcdef", b"app "]


def test_a_long_body_is_the_applications() -> None:
    long = b"a" * (MAX_HELD_BYTES + 1)
    assert bodies(served(post(long))) == [b"app " + b"a" * 20, b"app "]
    assert bodies(served(post(long[1:]))) == [b"now " + b"a" * 20, b"app "]


@pytest.mark.parametrize("request_", [
    post(b"abc", b"/other"), post(b"abc", b"/now?a=1"), post(b"abc").replace(b"POST", b"PUT"),
    post(b"abc", more=b"expect: 100-continue\r\n")], ids=["target", "query", "method", "expects"])
def test_other_requests_go_to_the_application(request_: bytes) -> None:
    assert bodies(served(request_).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")) == [b"app abc", b"app "]


def test_answers_come_in_the_order_of_the_requests() -> None:
    said = served(post(b"1", b"/app") + post(b"2") + post(b"3", b"/app") + post(b"4"), pause=0.05)
    assert [body.split()[-1:] for body in bodies(said)[:4]] == [[b"1"], [b"2"], [b"3"], [b"4"]]


def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_api.connection.HELD_SECONDS", 0.5)
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["path"])

    async def run() -> None:
        begun = asyncio.Event()

        class Told(connection(lambda *_: None, frozenset({b"/now"}))):
            def on_headers_complete(self) -> None:
                super().on_headers_complete()
                begun.set()

        async with serving(app, Told) as (_, writer, server):
            writer.write(post(b"abc")[:-1])
            await begun.wait()
            writer.transport.abort()
            await asyncio.sleep(1)
            assert not server.server_state.connections and not server.server_state.tasks
    asyncio.run(asyncio.wait_for(run(), 20))
    assert asked == []
