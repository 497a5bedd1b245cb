"""`/v1/chat/completions`: messages in, a message out; plain and streamed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from local_api.answers import (
    CLIENT_LEFT,
    Answer,
    answer_all,
    answer_at_once,
    find_model,
    head_of,
    order_from,
    pieces_of_all,
    room_for,
    sampling,
    unless_left,
    usage,
    variants,
)
from local_api.context import Context, context, project
from local_api.conversations import DEFAULT_MAX_TOKENS, MAX_TOP_LOGPROBS, answer_schema, prompt_of, refuse_others, shape_logprobs
from local_api.engines.protocols import AtOnce, GenerationRequest, Piece
from local_api.errors import InvalidRequest
from local_api.sse import Json, stream
from local_api.wire import CHAT, in_range

router = APIRouter()
ID = "chatcmpl-"


@router.post("/v1/chat/completions", openapi_extra=CHAT.openapi())
async def create_chat_completion(request: Request) -> Response:
    here = context(request)
    body, engine_request = await order_from(await request.body(), partial(read, here, project(request)))
    requests = variants(engine_request, body.get("n", 1))
    if body.get("stream"):
        return await stream(chunks(here, requests, head_of(here, ID, body["model"]), body.get("stream_options") or {}))
    answers = await unless_left(request, answer_all(here.generator, requests))
    return Response(status_code=CLIENT_LEFT) if answers is None else Json(whole(here, body, engine_request, answers))


def at_once(here: Context, generator: AtOnce, project: str, raw: bytes) -> dict[str, Any] | None:
    """The answer to a request that asks for a single one, in one piece, if the engine has it at once. Raises ApiError."""
    body, request = read(here, project, raw)
    found = None if request.stream or body.get("n", 1) > 1 else answer_at_once(generator, request)
    return found and whole(here, body, request, [found])


def whole(here: Context, body: dict[str, Any], request: GenerationRequest, answers: list[Answer]) -> dict[str, Any]:
    """An answer in one piece, in the wire's shape."""
    return {**head_of(here, ID, body["model"]), "object": "chat.completion",
            "usage": usage(len(request.prompt), sum(answer.n_tokens for answer in answers)),
            "choices": [choice(index, answer, bool(body.get("logprobs"))) for index, answer in enumerate(answers)]}


def read(here: Context, project: str, raw: bytes) -> tuple[dict[str, Any], GenerationRequest]:
    body = CHAT.read(raw)
    return body, parse(here, project, body)


def parse(here: Context, project: str, body: dict[str, Any]) -> GenerationRequest:
    """The engine's request for one choice. Raises ApiError naming the field."""
    target = find_model(here, project, body["model"])
    in_range(body.get("top_logprobs"), "top_logprobs", 0, MAX_TOP_LOGPROBS)
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise InvalidRequest("top_logprobs needs logprobs to be true.", param="top_logprobs")
    if "max_tokens" in body and "max_completion_tokens" in body:
        raise InvalidRequest("Give max_completion_tokens or the older max_tokens, not both.", param="max_tokens")
    prompt = prompt_of(here, target, body["messages"], param="messages")
    return GenerationRequest(
        prompt=prompt, base_model=target.base.id, adapter=target.adapter, **sampling(body),
        max_tokens=room_for(target, prompt, body.get("max_completion_tokens", body.get("max_tokens")),
                            default=DEFAULT_MAX_TOKENS),
        top_logprobs=body.get("top_logprobs", 0) if body.get("logprobs") else None,
        json_schema=json_schema(body.get("response_format") or {"type": "text"}))


def json_schema(response_format: dict[str, Any]) -> dict[str, Any] | None:
    """The schema that the answer must satisfy; {} for any JSON object; None for free text."""
    kind = response_format.get("type")
    refuse_others(response_format, {"type", "json_schema"} if kind == "json_schema" else {"type"}, "response_format")
    return answer_schema(kind, response_format.get("json_schema"), place="response_format.json_schema",
                         kind_place="response_format.type")


def choice(index: int, answer: Answer, with_logprobs: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    return {"index": index, "message": message, "finish_reason": answer.finish_reason,
            "logprobs": {"content": shape_logprobs(answer.tokens), "refusal": None} if with_logprobs else None}


async def chunks(here: Context, requests: list[GenerationRequest], head: dict[str, Any],
                 options: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a streamed answer: the role, the text, the finish reason; with include_usage, the counts at the end."""
    include_usage = bool(options.get("include_usage"))
    head = {**head, "object": "chat.completion.chunk", **({"usage": None} if include_usage else {})}
    n_tokens, begun = 0, set()
    async with aclosing(pieces_of_all(here.generator, requests)) as pieces:  # a client that leaves frees its slots at once
        async for index, piece in pieces:
            n_tokens += piece.n_tokens
            if index not in begun:
                begun.add(index)
                yield {**head, "choices": [delta(index, {"role": "assistant", "content": "", "refusal": None})]}
            if piece.text or piece.tokens:
                yield {**head, "choices": [delta(index, {"content": piece.text}, piece)]}
            if piece.finish_reason:
                yield {**head, "choices": [delta(index, {}, reason=piece.finish_reason)]}
    if include_usage:
        yield {**head, "choices": [], "usage": usage(len(requests[0].prompt), n_tokens)}


def delta(index: int, content: dict[str, Any], piece: Piece | None = None, *, reason: str | None = None) -> dict[str, Any]:
    logprobs = {"content": shape_logprobs(list(piece.tokens)), "refusal": None} if piece and piece.tokens else None
    return {"index": index, "delta": content, "logprobs": logprobs, "finish_reason": reason}
