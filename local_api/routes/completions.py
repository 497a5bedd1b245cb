"""`/v1/completions`: text in, text out; plain and streamed."""

import codecs
import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from local_api.answers import (
    CLIENT_LEFT,
    Answer,
    Target,
    answer_all,
    answer_at_once,
    find_model,
    head_of,
    order_from,
    pieces_of_all,
    room_for,
    sampling,
    score_all,
    unless_left,
    usage,
    variants,
)
from local_api.context import Context, context, project
from local_api.engines.protocols import AtOnce, GenerationRequest, Generator, TokenLogprob
from local_api.errors import InvalidRequest
from local_api.sse import Json, stream
from local_api.wire import COMPLETIONS, in_range

router = APIRouter()
ID = "cmpl-"
DEFAULT_MAX_TOKENS = 16
MAX_LOGPROBS = 20
MAX_ANSWERS = 2048  # of one request: each takes memory, and a turn of everybody else's


@dataclass(frozen=True, slots=True)
class Order:
    """A parsed request: one engine request for each choice to be made, prompt by prompt."""

    target: Target
    texts: list[str]  # of the prompts
    requests: list[GenerationRequest]
    scored: list[GenerationRequest]  # one for each prompt whose own log-probabilities are told
    prompt_tokens: int
    n: int
    best_of: int
    echo: bool
    logprobs: int | None


@router.post("/v1/completions", openapi_extra=COMPLETIONS.openapi())
async def create_completion(request: Request) -> Response:
    return await complete(request, project(request), COMPLETIONS.read)


async def complete(request: Request, project: str, read: Callable[[bytes], dict[str, Any]]) -> Response:
    """The answer to the request whose body `read` understands."""
    here = context(request)
    body, order = await order_from(await request.body(), lambda raw: parse(here, project, read(raw)))
    if body.get("stream"):
        return await stream(chunks(here, order, head(here, body), body.get("stream_options") or {}))
    made = await unless_left(request, carry_out(here.generator, order))
    return Response(status_code=CLIENT_LEFT) if made is None else Json(whole(here, body, order, *made))


def at_once(here: Context, generator: AtOnce, project: str, raw: bytes) -> dict[str, Any] | None:
    """The answer to a request that asks for a single one, in one piece, if the engine has it at once. Raises ApiError."""
    body, order = parse(here, project, COMPLETIONS.read(raw))
    if len(order.requests) > 1 or order.scored or order.requests[0].stream:
        return None
    found = answer_at_once(generator, order.requests[0])
    return found and whole(here, body, order, [found], [])


def head(here: Context, body: dict[str, Any]) -> dict[str, Any]:
    return {**head_of(here, ID, body["model"]), "object": "text_completion"}


def whole(here: Context, body: dict[str, Any], order: Order, answers: list[Answer],
          prompts: list[list[TokenLogprob]]) -> dict[str, Any]:
    """An answer in one piece, in the wire's shape. `prompts`: the tokens of each prompt, if they are told."""
    return {**head(here, body), "choices": choices(order, answers, prompts),
            "usage": usage(order.prompt_tokens, sum(answer.n_tokens for answer in answers))}


async def carry_out(generator: Generator, order: Order) -> tuple[list[Answer], list[list[TokenLogprob]]]:
    """The answers, and how likely the prompts are where that is asked for."""
    return await answer_all(generator, order.requests), await score_all(generator, order.scored)


def parse(here: Context, project: str, body: dict[str, Any]) -> tuple[dict[str, Any], Order]:
    """A request body and its order. Raises ApiError naming the field."""
    target = find_model(here, project, body["model"])
    options = sampling(body)
    n, best_of = body.get("n", 1), body.get("best_of", body.get("n", 1))
    check(body, n, best_of)
    given = as_prompts(body.get("prompt", ""))
    check_number(len(given), n, best_of)
    tokenizer = here.engine.tokenizer(target.base.id)
    prompts, texts = [], []
    for prompt in given:
        # An empty prompt is the start of a new document, as at the hosted service.
        ids = tokenizer.encode(prompt or "<|endoftext|>") if isinstance(prompt, str) else prompt
        prompts.append(ids)
        texts.append(prompt if isinstance(prompt, str) else tokenizer.decode(ids))
    logprobs = body.get("logprobs")
    requests = []
    for ids in prompts:
        request = GenerationRequest(
            prompt=ids, base_model=target.base.id, adapter=target.adapter, **options,
            max_tokens=room_for(target, ids, body.get("max_tokens"), default=DEFAULT_MAX_TOKENS),
            top_logprobs=0 if logprobs is None and best_of > n else logprobs)
        requests += variants(request, best_of)
    scored = requests[::best_of] if body.get("echo") and logprobs is not None else []
    return body, Order(target, texts, requests, scored, sum(map(len, prompts)), n, best_of, bool(body.get("echo")), logprobs)


def check(body: dict[str, Any], n: int, best_of: int) -> None:
    """What this endpoint's fields may not be together."""
    in_range(body.get("logprobs"), "logprobs", 0, MAX_LOGPROBS)
    if best_of < n:
        raise InvalidRequest(f"best_of must be at least n, which is {n}; met {best_of}.", param="best_of")
    if best_of > n and body.get("stream"):
        raise InvalidRequest("Results of best_of cannot be streamed: leave out best_of or stream.", param="best_of")


def check_number(n_prompts: int, n: int, best_of: int) -> None:
    """How many answers one request may ask for, whatever it calls them."""
    if n_prompts * best_of > MAX_ANSWERS:
        field, each = ("n", n) if best_of == n else ("best_of", best_of)
        raise InvalidRequest(f"prompt holds {n_prompts:,} prompt{'s' * (n_prompts > 1)} and {field} is {each}: "
                             f"{n_prompts * best_of:,} answers, at most {MAX_ANSWERS:,} are made for one request. Send fewer "
                             f"prompts at a time, or a smaller {field}.", param="prompt")


def as_prompts(prompt: Any) -> list[str | list[int]]:
    """One prompt or several, as texts or as token ids."""
    if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
        prompt = [prompt]
    if not prompt or any(part == [] for part in prompt):
        raise InvalidRequest("prompt must not be an empty list.", param="prompt")
    return prompt


def choices(order: Order, answers: list[Answer], prompts: list[list[TokenLogprob]]) -> list[dict[str, Any]]:
    """The best `n` of each prompt's answers, in the wire's shape. `prompts`: the tokens of each, if they are told."""
    result = []
    for number, text in enumerate(order.texts):
        candidates = answers[number * order.best_of:(number + 1) * order.best_of]
        if order.best_of > order.n:
            candidates = sorted(candidates, key=lambda answer: -answer.mean_logprob)[:order.n]
        for answer in candidates:
            start = text if order.echo else ""
            before = prompts[number] if prompts and text else []  # an empty prompt's one token is no part of the text
            told = shape_logprobs([*before, *answer.tokens], order.logprobs, 0 if before else len(start))
            result.append({"index": len(result), "text": start + answer.text, "finish_reason": answer.finish_reason,
                           "logprobs": told})
    return result


def shape_logprobs(tokens: list[TokenLogprob], asked: int | None, offset: int) -> dict[str, Any] | None:
    """Four parallel lists, as this endpoint has them. `offset`: characters of the text before the first token. A token that
    begins within a character begins where that does."""
    if asked is None:
        return None
    decoder, offsets = codecs.getincrementaldecoder("utf-8")("replace"), []
    for token in tokens:
        offsets.append(offset)
        offset += len(decoder.decode(token.bytes))
    top = [{name_of(text, raw): logprob for text, raw, logprob in token.top} if known(token) else None for token in tokens]
    return {"tokens": [name_of(token.token, token.bytes) for token in tokens], "text_offset": offsets,
            "token_logprobs": [token.logprob if known(token) else None for token in tokens],
            "top_logprobs": top if asked else None}


def known(token: TokenLogprob) -> bool:
    """Whether there is anything to tell of it: there is not of the first token of a prompt."""
    return not math.isnan(token.logprob)


def name_of(text: str, raw: bytes) -> str:
    """A token's name: its text, or its bytes written out where they are not whole characters."""
    try:
        return raw.decode() if raw else text
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


async def chunks(here: Context, order: Order, head: dict[str, Any], options: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a streamed answer; with include_usage, a last one with the counts and no choice."""
    usage_field = {"usage": None} if options.get("include_usage") else {}
    written = [0] * len(order.requests)
    n_tokens = 0
    if order.echo:
        prompts = await score_all(here.generator, order.scored)
        for index in range(len(order.requests)):
            number = index // order.n
            written[index] = len(text := order.texts[number])
            told = shape_logprobs(prompts[number], order.logprobs, 0) if prompts and text else None
            yield {**head, **usage_field, "choices": [{"index": index, "text": text, "logprobs": told, "finish_reason": None}]}
    async with aclosing(pieces_of_all(here.generator, order.requests)) as pieces:  # a client that leaves frees its slots at once
        async for index, piece in pieces:
            n_tokens += piece.n_tokens
            logprobs = shape_logprobs(list(piece.tokens), order.logprobs, written[index]) if piece.tokens else None
            written[index] += len(piece.text)
            yield {**head, **usage_field, "choices": [{"index": index, "text": piece.text, "logprobs": logprobs,
                                                       "finish_reason": piece.finish_reason}]}
    if usage_field:
        yield {**head, "choices": [], "usage": usage(order.prompt_tokens, n_tokens)}
