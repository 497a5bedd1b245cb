"""Responses: plain text in and out. What may be asked for, and the shapes of an answer and of its stream's events.

Between the route, which only parses and sends, and the engine. Nothing is kept: a conversation goes on by sending it whole.
Knows no HTTP.

    engine_request = parse(here, project, body)
    shape(head(here, body), answer, len(engine_request.prompt))
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from local_api.answers import Answer, Target, find_model, pieces_of_all, room_for, sampling
from local_api.context import Context
from local_api.conversations import (
    DEFAULT_MAX_TOKENS,
    MAX_TOP_LOGPROBS,
    answer_schema,
    prompt_of,
    refuse_others,
    shape_logprobs,
)
from local_api.engines.protocols import EngineError, GenerationRequest
from local_api.errors import InvalidRequest, UnsupportedParameter
from local_api.jobs import metadata
from local_api.sse import from_engine
from local_api.store.ids import new_id
from local_api.wire import in_range

LEAST_TOKENS = 16  # of max_output_tokens, as at the hosted service
LOGPROBS = "message.output_text.logprobs"
TEXT_PARTS = ("input_text", "output_text")
ROLES = ("system", "developer", "user", "assistant")
KEYS_OF_A_MESSAGE = {"type", "role", "content", "id", "status", "phase"}  # the last three come with an answer that is sent back


def parse(here: Context, project: str, body: dict[str, Any]) -> GenerationRequest:
    """The engine's request. Raises ApiError naming the field."""
    target = find_model(here, project, body["model"])
    in_range(body.get("max_output_tokens"), "max_output_tokens", LEAST_TOKENS, float("inf"))
    in_range(body.get("top_logprobs"), "top_logprobs", 0, MAX_TOP_LOGPROBS)
    metadata(body)
    prompt = conversation(here, target, body)
    return GenerationRequest(
        prompt=prompt, base_model=target.base.id, adapter=target.adapter, **sampling(body),
        max_tokens=room_for(target, prompt, body.get("max_output_tokens"), default=DEFAULT_MAX_TOKENS, field="max_output_tokens"),
        top_logprobs=top_logprobs(body), json_schema=schema_of(body))


def conversation(here: Context, target: Target, body: dict[str, Any]) -> list[int]:
    """The token ids of the instructions and the input."""
    head = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    return prompt_of(here, target, [*head, *messages(body["input"])], param="input")


def messages(given: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chat messages of an input. Raises InvalidRequest or UnsupportedParameter naming the item."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    result = []
    for number, item in enumerate(given):
        place = f"input[{number}]"
        if (kind := item.get("type", "message")) != "message":
            raise UnsupportedParameter(f"{place}.type is {kind!r}: the local API reads messages alone.", param=f"{place}.type")
        refuse_others(item, KEYS_OF_A_MESSAGE, place)
        if item.get("role") not in ROLES:
            raise InvalidRequest(f"{place}.role must be one of {', '.join(ROLES)}, not {item.get('role')!r}.",
                                 param=f"{place}.role")
        result.append({"role": item["role"], "content": text(item.get("content"), f"{place}.content")})
    return result


def text(content: Any, place: str) -> str:
    """The text of a message's content: a string, or parts of text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest(f"{place} must be a string or a list of parts.", param=place)
    for number, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") not in TEXT_PARTS or not isinstance(part.get("text"), str):
            raise UnsupportedParameter(f"{place}[{number}] must be text (type {' or '.join(TEXT_PARTS)}): this model reads "
                                       "nothing else.", param=f"{place}[{number}]")
    return "".join(part["text"] for part in content)


def top_logprobs(body: dict[str, Any]) -> int | None:
    """How many alternatives each token comes with; None for no logprobs."""
    include = body.get("include") or []
    for name in include:
        if name != LOGPROBS:
            raise UnsupportedParameter(f"include: {name} is not supported by the local API, {LOGPROBS} is.", param="include")
    if body.get("top_logprobs") and not include:
        raise InvalidRequest(f"top_logprobs needs include to hold {LOGPROBS}.", param="top_logprobs")
    return body.get("top_logprobs", 0) if include else None


def schema_of(body: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of `text.format`."""
    given = body.get("text") or {}
    refuse_others(given, {"format", "verbosity"}, "text")
    if given.get("verbosity") not in (None, "medium"):
        raise UnsupportedParameter("text.verbosity is not supported by the local API: leave it out.", param="text.verbosity")
    chosen = given.get("format") or {"type": "text"}
    if not isinstance(chosen, dict):
        raise InvalidRequest("text.format must be an object with a type.", param="text.format")
    kind, rest = chosen.get("type"), {name: value for name, value in chosen.items() if name != "type"}
    if kind in ("text", "json_object"):
        refuse_others(rest, set(), "text.format")
    return answer_schema(kind, rest, place="text.format", kind_place="text.format.type")


def head(here: Context, body: dict[str, Any]) -> dict[str, Any]:
    """What a response says from its beginning to its end."""
    echoed = {name: body[name] for name in ("user", "safety_identifier", "prompt_cache_key") if name in body}
    return {
        "id": new_id("resp_"), "object": "response", "created_at": int(here.clock()), "status": "in_progress",
        "background": False, "completed_at": None, "error": None, "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"), "metadata": body.get("metadata") or {}, "model": body["model"],
        "output": [], "parallel_tool_calls": True, "previous_response_id": None, "service_tier": "default", "store": False,
        "temperature": body.get("temperature", 1.0), "text": {"format": text_format(body), "verbosity": "medium"},
        "tool_choice": "auto", "tools": [], "top_logprobs": body.get("top_logprobs", 0), "top_p": body.get("top_p", 1.0),
        "truncation": "disabled", **echoed}


def text_format(body: dict[str, Any]) -> dict[str, Any]:
    """`text.format` as an answer repeats it: with all its fields."""
    chosen = (body.get("text") or {}).get("format") or {"type": "text"}
    return {"strict": False, **chosen} if chosen["type"] == "json_schema" else chosen


def shape(head: dict[str, Any], message_id: str, answer: Answer, prompt_tokens: int, now: float) -> dict[str, Any]:
    """A response that has ended."""
    ended = "incomplete" if answer.finish_reason == "length" else "completed"
    return {
        **head, "status": ended, "output": [message(message_id, ended, [part(answer)])],
        "completed_at": int(now) if ended == "completed" else None,
        "incomplete_details": {"reason": "max_output_tokens"} if ended == "incomplete" else None,
        "usage": {"input_tokens": prompt_tokens, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                  "output_tokens": answer.n_tokens, "output_tokens_details": {"reasoning_tokens": 0},
                  "total_tokens": prompt_tokens + answer.n_tokens}}


def message(message_id: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": message_id, "type": "message", "role": "assistant", "status": status, "content": content}


def part(answer: Answer) -> dict[str, Any]:
    return {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": shape_logprobs(answer.tokens)}


async def events(here: Context, request: GenerationRequest, head: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The events of a streamed response, numbered."""
    number = 0
    async with aclosing(told(here, request, head)) as story:
        async for event in story:
            yield {**event, "sequence_number": number}
            number += 1


async def told(here: Context, request: GenerationRequest, head: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The same, without their numbers. What the engine refuses at once is raised; what goes wrong later is told as `failed`."""
    message_id, answer = new_id("msg_"), Answer()
    item, at = {"output_index": 0}, {"item_id": message_id, "output_index": 0, "content_index": 0}
    async with aclosing(pieces_of_all(here.generator, [request])) as pieces:  # a client that leaves frees its slot at once
        beginning = [
            {"type": "response.created", "response": head}, {"type": "response.in_progress", "response": head},
            {"type": "response.output_item.added", **item, "item": message(message_id, "in_progress", [])},
            {"type": "response.content_part.added", **at, "part": part(answer)}]
        try:
            async for _, piece in pieces:
                while beginning:
                    yield beginning.pop(0)
                answer.add(piece)
                if piece.text or piece.tokens:
                    yield {"type": "response.output_text.delta", **at, "delta": piece.text,
                           "logprobs": shape_logprobs(list(piece.tokens))}
        except EngineError as error:
            if beginning:
                raise
            failure = {"code": "server_error", "message": from_engine(error).message}
            yield {"type": "response.failed", "response": {**head, "status": "failed", "error": failure}}
            return
    ended = shape(head, message_id, answer, len(request.prompt), here.clock())
    whole = ended["output"][0]
    yield {"type": "response.output_text.done", **at, "text": answer.text, "logprobs": whole["content"][0]["logprobs"]}
    yield {"type": "response.content_part.done", **at, "part": whole["content"][0]}
    yield {"type": "response.output_item.done", **item, "item": whole}
    yield {"type": f"response.{ended['status']}", "response": ended}
