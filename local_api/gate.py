"""The gate before the routes: without a key nobody's body is read, and no body is longer than the limit.

An ASGI wrapper, because the framework reads a form's files to disk before a route can look at the key. Knows no resource.
"""

from typing import Any

from fastapi.responses import JSONResponse
from starlette.requests import Request

from local_api.auth import Keys
from local_api.errors import ApiError, TooLarge

ROOM_FOR_FORM = 1024 * 1024  # what a multipart form adds to the file in it


class Gate:
    """Wraps an ASGI application. `max_bytes`: of a file."""

    def __init__(self, app: Any, *, keys: Keys, max_bytes: int) -> None:
        self.app, self.keys, self.limit = app, keys, max_bytes + ROOM_FOR_FORM

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        headers = Request(scope).headers
        try:
            self.keys.project(headers.get("authorization"))
            length = headers.get("content-length", "0")
            self.check(int(length) if length.isdecimal() else 0)
        except ApiError as error:
            await JSONResponse(error.envelope(), error.status, headers={"connection": "close"})(scope, receive, send)
            return
        await self.app(scope, self.counted(receive), send)

    def check(self, length: int) -> None:
        if length > self.limit:
            raise TooLarge(f"The request has {length:,} bytes or more; at most {self.limit:,} are taken.")

    def counted(self, receive: Any) -> Any:
        """`receive` that raises TooLarge once more has come than the limit: a chunked body does not say its length."""
        came = 0

        async def counting() -> Any:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            self.check(came)
            return message
        return counting
