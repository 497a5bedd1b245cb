"""`/v1/embeddings`: texts or token ids in, vectors out, as floats or base64."""

import base64
import math
import struct
from typing import Any

from fastapi import APIRouter, Request

from local_api.answers import order_from
from local_api.context import Context, context
from local_api.errors import InvalidRequest, ModelNotFound
from local_api.sse import Json
from local_api.wire import EMBEDDINGS, in_range

router = APIRouter()
MAX_INPUTS = 2048


@router.post("/v1/embeddings", openapi_extra=EMBEDDINGS.openapi())
async def create_embeddings(request: Request) -> Json:
    here = context(request)
    body, texts = await order_from(await request.body(), lambda raw: parse(here, raw))
    embedder = here.embedder
    vectors, n_tokens = await embedder.embed(texts)
    encode = as_base64 if body.get("encoding_format") == "base64" else list
    size = body.get("dimensions", embedder.dimensions)
    data = [{"object": "embedding", "index": index, "embedding": encode(shortened(vector, size))}
            for index, vector in enumerate(vectors)]
    return Json({"object": "list", "data": data, "model": embedder.id,
                 "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens}})


def parse(here: Context, raw: bytes) -> tuple[dict[str, Any], list[str]]:
    """The body, and the texts in it. Raises ApiError naming the field."""
    body, embedder = EMBEDDINGS.read(raw), here.embedder
    if body["model"] != embedder.id:
        raise ModelNotFound(body["model"], f"the embedding model of this server is {embedder.id}.")
    in_range(body.get("dimensions"), "dimensions", 1, embedder.dimensions)
    return body, [text if isinstance(text, str) else embedder.decode(text) for text in as_inputs(body["input"])]


def as_inputs(given: Any) -> list[str | list[int]]:
    """One input or several, as texts or as token ids."""
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        given = [given]
    if not 1 <= len(given) <= MAX_INPUTS:
        raise InvalidRequest(f"input takes 1 to {MAX_INPUTS} texts, not {len(given)}.", param="input")
    for number, text in enumerate(given):
        if not text:
            raise InvalidRequest(f"input[{number}] is empty.", param="input")
    return given


def shortened(vector: list[float], size: int) -> list[float]:
    """The first `size` dimensions, of unit length again."""
    if size == len(vector):
        return vector
    length = math.hypot(*vector[:size]) or 1.0
    return [value / length for value in vector[:size]]


def as_base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64, as the official client reads them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
