"""How answers leave: whole, as JSON, or as server-sent events as the hosted API sends them: `data: {json}` lines, the last one
`data: [DONE]`; of a response, events with their names and no such line.
"""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from fastapi.responses import Response, StreamingResponse

from local_api.engines.protocols import AdapterError, EngineError, Stopped
from local_api.errors import ApiError, InvalidRequest, Unavailable

log = logging.getLogger(__name__)


class Json(Response):
    """An answer in one piece."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def from_engine(error: Exception) -> ApiError:
    """The refusal that stands for an engine's error."""
    if isinstance(error, AdapterError):
        log.error("%s", error)  # it names files on the server's disk, which are not the client's business
        return ApiError("The files of this model are damaged or missing: delete it and train it again. "
                        "The server's log tells more.", code="model_unavailable")
    if isinstance(error, Stopped):
        return Unavailable("The server is shutting down: ask again once it runs.", headers={"retry-after": "5"})
    return InvalidRequest(str(error))


async def stream(chunks: AsyncIterator[dict[str, Any] | None], *, named: bool = False) -> StreamingResponse:
    """The response that sends `chunks`; None among them is a sign of life, which clients skip. `named`: by their field `type`.

    Waits for the first one, so that what is refused is refused with its status.
    """
    first = await anext(chunks)
    return StreamingResponse(events(first, chunks, named), media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def events(first: dict[str, Any] | None, chunks: AsyncIterator[dict[str, Any] | None], named: bool) -> AsyncIterator[str]:
    async with aclosing(chunks):
        yield event(first, named)
        try:
            async for chunk in chunks:
                yield event(chunk, named)
        except EngineError as error:  # too late for a status: the client reads the envelope from the stream
            yield event(from_engine(error).envelope())
            return
    if not named:
        yield "data: [DONE]\n\n"


def event(data: dict[str, Any] | None, named: bool = False) -> str:
    if data is None:
        return ": still there\n\n"
    name = f"event: {data['type']}\n" if named else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
