"""The head of a request has an end: what never stops sending one is refused, and long bodies are no heads."""

import asyncio
import socket

import pytest
import uvicorn

from local_api.connection import MAX_HEAD_BYTES, BoundedHead


def talk(*parts: bytes) -> bytes:
    """What the server says to these bytes, until it hangs up."""
    async def app(scope, receive, send):
        size = 0
        while (message := await receive())["more_body"]:
            size += len(message["body"])
        size += len(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": f"{size} bytes".encode()})

    async def run() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(app, http=BoundedHead, ws="none", lifespan="off", log_level="critical", log_config=None)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            said = await reader.read()
            writer.close()
            server.should_exit = True
            await serving
            return said
    return asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("piece", [b"x-more: " + b"a" * 1000 + b"\r\n", b"a" * 1000], ids=["many headers", "one header"])
def test_a_head_that_never_ends_is_refused(piece: bytes) -> None:
    said = talk(b"GET / HTTP/1.1\r\nhost: a\r\nx-first: ", *[piece] * (6 * MAX_HEAD_BYTES // 1000))
    assert said.startswith(b"HTTP/1.1 400") and b"The head of the request has more than" in said


def test_a_long_body_and_a_head_of_ordinary_length_are_taken() -> None:
    size = 8 * MAX_HEAD_BYTES
    head = b"POST / HTTP/1.1\r\nhost: a\r\nx-much: " + b"a" * (MAX_HEAD_BYTES // 2)
    said = talk(head, b"\r\ncontent-length: %d\r\n\r\n" % size, *[b"b" * 1024] * (size // 1024))
    assert said.startswith(b"HTTP/1.1 200") and said.endswith(b"%d bytes" % size)
