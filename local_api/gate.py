"""The gate before the routes: without a key nobody's body is read, no body is longer than the limit or comes for ever, and
nobody asks more often than allowed.

An ASGI wrapper, because the framework reads a form's files to disk before a route can look at the key. It leaves in the
request's state whose it is (`project`), and a name for it that its answer and the log share (`request_id`). Knows no resource.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from fastapi.responses import JSONResponse

from local_api.auth import Keys
from local_api.errors import ApiError, TooLarge, TooSlow
from local_api.limits import METER, Limiter
from local_api.store.ids import new_id

ROOM_FOR_FORM = 1024 * 1024  # what a multipart form adds to the file in it
MAX_BODY_BYTES = 16 * 1024 * 1024  # of all that is no file: it is held in memory and read as JSON
BODY_SECONDS = 60.0  # of silence in the middle of a body
GENERATE = ("/completions", "/embeddings", "/responses")  # ends of the paths whose answers cost tokens


class Gate:
    """Wraps an ASGI application. `max_bytes`: of a file."""

    def __init__(self, app: Any, *, keys: Keys, limiter: Limiter, max_bytes: int, body_seconds: float = BODY_SECONDS) -> None:
        self.app, self.keys, self.limiter = app, keys, limiter
        self.max_file, self.body_seconds = max_bytes + ROOM_FOR_FORM, body_seconds

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = new_id("req_", 32)
        limit = self.max_file if (scope["method"], scope["path"]) == ("POST", "/v1/files") else MAX_BODY_BYTES
        try:
            state["project"] = self.keys.project(header(scope["headers"], b"authorization"))
            length = header(scope["headers"], b"content-length") or "0"
            check(int(length) if length.isdecimal() else 0, limit)
            generates = scope["method"] == "POST" and scope["path"].endswith(GENERATE)
            state["meter"] = meter = self.limiter.admit(state["project"], generates=generates)
        except ApiError as error:
            refusal_headers = {"x-request-id": state["request_id"], **error.headers, "connection": "close"}
            await JSONResponse(error.envelope(), error.status, headers=refusal_headers)(scope, receive, send)
            return

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                told_too = {"x-request-id": state["request_id"], **meter.headers()}
                message["headers"] = [*message["headers"], *((name.encode(), value.encode()) for name, value in told_too.items())]
            await send(message)

        METER.set(meter)
        await self.app(scope, self.counted(receive, limit), told)

    def counted(self, receive: Any, limit: int) -> Any:
        """`receive` that raises TooLarge once more has come than the limit (a chunked body does not say its length), and TooSlow
        when nothing comes."""
        came, whole = 0, False

        async def counting() -> Any:
            nonlocal came, whole
            if whole:  # what comes now is the client's leaving, for which there is no hurry
                return await receive()
            try:
                async with asyncio.timeout(self.body_seconds):
                    message = await receive()
            except TimeoutError:
                raise TooSlow(f"Nothing of the request's body came for {self.body_seconds:g} seconds.",
                              headers={"connection": "close"}) from None
            came += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            check(came, limit)
            return message
        return counting


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first header of that name."""
    return next((value.decode("latin-1") for known, value in headers if known == name), None)


def check(length: int, limit: int) -> None:
    if length > limit:
        raise TooLarge(f"The request has {length:,} bytes or more; at most {limit:,} are taken.", headers={"connection": "close"})
