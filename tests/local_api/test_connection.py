"""The head of a request has an end: what never stops sending one is refused, and long bodies are no heads."""

import asyncio
import socket

import pytest
import uvicorn

from local_api.connection import MAX_HEAD_BYTES, BoundedHead


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

    class Told(BoundedHead):
        def on_message_begin(self) -> None:
            super().on_message_begin()
            begun.set()

    async def run() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(app, http=Told, ws="none", lifespan="off", log_level="critical", log_config=None)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(begin)
            await begun.wait()
            writer.write(rest)
            said = await reader.read()
            writer.close()
            server.should_exit = True
            await serving
            return said
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
