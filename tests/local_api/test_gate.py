"""The gate: keys and sizes are checked before a body is read."""

import asyncio
import dataclasses

import httpx
import pytest

from local_api.app import create_app
from local_api.auth import Keys
from local_api.errors import TooLarge
from local_api.gate import ROOM_FOR_FORM, Gate
from local_api.limits import Limiter


def knock(*, path="/v1/files", headers=(), body=(b"",), max_bytes=10):
    """What is sent back, and how many parts of the body were read."""
    read, sent, parts = [], [], list(body)

    async def receive():
        read.append(parts[0])
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(k.encode(), v.encode()) for k, v in headers]}
    keys = Keys({"sk-mine": "default"})
    asyncio.run(Gate(app, keys=keys, limiter=Limiter(keys.limits), max_bytes=max_bytes)(scope, receive, send))
    return sent[0]["status"], len(read)


KEY = ("authorization", "Bearer sk-mine")


def test_without_a_key_the_body_is_not_read():
    assert knock(body=[b"a", b"b"]) == (401, 0)
    assert knock(headers=[("authorization", "Bearer other")]) == (401, 0)


def test_a_key_opens_and_health_needs_none():
    assert knock(headers=[KEY], body=[b"a", b"b"]) == (200, 2)
    assert knock(path="/health") == (200, 1)


def test_a_length_that_is_announced_and_too_great_is_refused_unread():
    assert knock(headers=[KEY, ("content-length", str(ROOM_FOR_FORM + 11))]) == (413, 0)
    assert knock(headers=[KEY, ("content-length", str(ROOM_FOR_FORM + 10))]) == (200, 1)


def test_a_file_without_a_length_that_grows_too_long_is_refused_as_one_that_says_its_length(here):
    """The framework, which reads the form, has another word for it: that the form is broken."""
    small = dataclasses.replace(here, settings=dataclasses.replace(here.settings, max_upload_bytes=10))
    head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'

    async def chunks():
        yield head
        for _ in range(3):
            yield b"{}" * (ROOM_FOR_FORM // 4)

    async def post():
        transport = httpx.ASGITransport(create_app(small))
        async with httpx.AsyncClient(transport=transport, base_url="http://t", headers={"authorization": "Bearer sk-test"}) as client:
            return await client.post("/v1/files", content=chunks(), headers={"content-type": "multipart/form-data; boundary=x"})

    answer = asyncio.run(post())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close", "the rest of the body is not waited for"


def test_a_body_that_grows_too_long_is_cut_off():
    with pytest.raises(TooLarge):
        knock(headers=[KEY], body=[b"x" * ROOM_FOR_FORM, b"y" * 11, b"never"])
