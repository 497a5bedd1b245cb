"""From a request's parameters to engine requests and back: what completions and chat completions have in common.

Knows the engine's protocol and the API's limits, not the shape of either endpoint's answers.

    target = find_model(here, project, body["model"])
    answers = await answer_all(here.generator, requests)
"""

import asyncio
import dataclasses
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from local_api import __version__
from local_api.context import Context
from local_api.engines.protocols import AtOnce, BaseModel, GenerationRequest, Generator, Piece, TokenLogprob
from local_api.errors import InvalidRequest, ModelNotFound, UnsupportedParameter
from local_api.legacy.names import base_named
from local_api.store.ids import new_id
from local_api.wire import in_range

Result = TypeVar("Result")
MAX_STOPS = 4
LONG_BODY = 32 * 1024  # bytes: to read and tokenise so much takes about as long as all the rest of a short answer
CLIENT_LEFT = 499  # nobody reads it; the number is the one that web servers log for this
MAX_ID_DIGITS = 9
MAX_CHOICES = 128
LIMITS = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2),
          "n": (1, MAX_CHOICES), "best_of": (1, 20), "seed": (-(2**63), 2**63 - 1)}


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What a model's name stands for."""

    name: str
    base: BaseModel
    adapter: Path | None


@dataclasses.dataclass(slots=True)
class Answer:
    """One whole answer."""

    text: str = ""
    tokens: list[TokenLogprob] = dataclasses.field(default_factory=list)
    n_tokens: int = 0
    finish_reason: str | None = None

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens += piece.tokens
        self.n_tokens += piece.n_tokens
        self.finish_reason = piece.finish_reason

    @property
    def mean_logprob(self) -> float:
        """Of an answer without tokens minus infinity: nothing said is not the best that can be said."""
        return sum(token.logprob for token in self.tokens) / len(self.tokens) if self.tokens else -math.inf


def find_model(here: Context, project: str, name: str) -> Target:
    """The base model or fine-tuned model called `name`. Raises ModelNotFound."""
    base = base_named(name, here.engine)
    if base is not None:
        return Target(name, base, None)
    if name == here.embedder.id:
        raise InvalidRequest(f"The model {name} makes embeddings; it does not complete text.", param="model")
    row = here.store.models.get(project, name)
    bases = {base.id: base for base in here.engine.base_models()}
    if row["base_model"] not in bases:
        raise ModelNotFound(name, f"it was trained on {row['base_model']}, which this server "
                                  f"({here.engine.name} engine) does not have.")
    return Target(name, bases[row["base_model"]], here.store.contents.adapter(row["adapter"]))


def sampling(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of GenerationRequest that both endpoints take alike, checked. Raises InvalidRequest naming the field."""
    for name, value in body.items():
        if name in LIMITS:
            in_range(value, name, *LIMITS[name])
    given = body.get("stop", [])
    stops = [given] if isinstance(given, str) else given
    if len(stops) > MAX_STOPS or any(not stop for stop in stops):
        raise InvalidRequest(f"stop takes up to {MAX_STOPS} sequences, none of them empty; met {stops!r}.", param="stop")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise InvalidRequest("stream_options is only allowed when stream is true.", param="stream_options")
    if (body.get("stream_options") or {}).get("include_obfuscation"):
        raise UnsupportedParameter("stream_options.include_obfuscation is not supported by the local API: nothing is added to "
                                   "the chunks of a stream.", param="stream_options.include_obfuscation")
    names = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
    return {"stop": tuple(stops), "logit_bias": logit_bias(body.get("logit_bias") or {}), "stream": bool(body.get("stream")),
            **{name: body[name] for name in names if body.get(name) is not None}}


def logit_bias(given: dict[str, float]) -> dict[int, float]:
    result = {}
    for token, bias in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) <= MAX_ID_DIGITS):
            raise InvalidRequest(f"logit_bias maps token ids to numbers; {token!r} is no token id.", param="logit_bias")
        in_range(bias, f"logit_bias.{token}", -100, 100)
        result[int(token)] = bias
    return result


def room_for(target: Target, prompt: Sequence[int], max_tokens: int | None, *, default: int, field: str = "max_tokens") -> int:
    """How many tokens the answer may have. Raises InvalidRequest when prompt and answer do not fit into the context.

    `field`: the name of `max_tokens` in the request.
    """
    limit = target.base.context_length
    in_range(max_tokens, field, 0, float("inf"))
    wanted = max(1, min(default, limit - len(prompt))) if max_tokens is None else max_tokens
    if len(prompt) + max(1, wanted) > limit:
        raise InvalidRequest(
            f"This model's maximum context length is {limit} tokens, however you requested {len(prompt) + wanted} tokens "
            f"({len(prompt)} in your prompt; {wanted} for the completion). Please reduce your prompt or completion length.",
            param=field if len(prompt) < limit else "prompt", code="context_length_exceeded")
    return wanted


def variants(request: GenerationRequest, n: int) -> list[GenerationRequest]:
    """The same request `n` times, each with a seed of its own where one was given."""
    if request.seed is None:
        return [request] * n
    return [dataclasses.replace(request, seed=(request.seed + number) % 2**31) for number in range(n)]


async def answer(generator: Generator, request: GenerationRequest) -> Answer:
    """One whole answer. A request for no tokens at all is answered without asking the engine."""
    result = Answer(finish_reason="length")
    if request.max_tokens > 0:
        async with aclosing(generator.generate(request)) as pieces:
            async for piece in pieces:
                result.add(piece)
    return result


def answer_at_once(generator: AtOnce, request: GenerationRequest) -> Answer | None:
    """One whole answer, if it is there without waiting."""
    piece = generator.at_once(request) if request.max_tokens > 0 else None
    if piece is None:
        return None
    result = Answer()
    result.add(piece)
    return result


async def order_from(raw: bytes, parse: Callable[[bytes], Result]) -> Result:
    """What `parse` makes of a request's body; in a thread where the body is long: nobody else's answer waits for it."""
    return await run_in_threadpool(parse, raw) if len(raw) > LONG_BODY else parse(raw)


async def unless_left(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """The result of `work`; None, with the work given up, if the client hangs up first: an interrupted cell frees its slots."""
    ours, watching, gone = asyncio.current_task(), [], False
    assert ours is not None

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        ours.cancel()

    # Begins when the work first waits for something: an answer that is there at once is not worth a task.
    begin = asyncio.get_running_loop().call_soon(lambda: watching.append(asyncio.create_task(watch())))
    try:
        return await work
    except asyncio.CancelledError:
        if gone and ours.uncancel() == 0:  # else somebody else wants an end of us
            return None
        raise
    finally:
        begin.cancel()
        for task in watching:
            task.cancel()


async def answer_all(generator: Generator, requests: Sequence[GenerationRequest]) -> list[Answer]:
    """Every answer, in order; if one fails, the others are given up."""
    return await together([answer(generator, request) for request in requests])


async def score_all(generator: Generator, requests: Sequence[GenerationRequest]) -> list[list[TokenLogprob]]:
    """For each request how likely its prompt is, in order; if one fails, the others are given up."""
    return await together([generator.score(request) for request in requests])


async def together(work: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results, in order; if one fails, the others are given up. A single one needs no task."""
    if len(work) == 1:
        return [await work[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except* Exception as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def pieces_of_all(generator: Generator, requests: Sequence[GenerationRequest]) -> AsyncIterator[tuple[int, Piece]]:
    """(index of the request, piece) as they come. Closing the iterator stops every request; if one fails, all end."""
    arrivals: asyncio.Queue[tuple[int, Piece | Exception | None]] = asyncio.Queue()

    async def listen(index: int, request: GenerationRequest) -> None:
        try:
            if request.max_tokens == 0:
                arrivals.put_nowait((index, Piece("", finish_reason="length")))
                return
            async with aclosing(generator.generate(request)) as pieces:
                async for piece in pieces:
                    arrivals.put_nowait((index, piece))
        except Exception as error:
            arrivals.put_nowait((index, error))
        finally:
            arrivals.put_nowait((index, None))

    tasks = [asyncio.create_task(listen(index, request)) for index, request in enumerate(requests)]
    unfinished = len(tasks)
    try:
        while unfinished:
            index, arrival = await arrivals.get()
            if isinstance(arrival, Exception):
                raise arrival
            if arrival is None:
                unfinished -= 1
            else:
                yield index, arrival
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def stamp(here: Context, prefix: str) -> dict[str, Any]:
    """What tells an answer from others that say the same. `prefix`: of its id."""
    return {"id": new_id(prefix), "created": int(here.clock())}


def head_of(here: Context, prefix: str, model: str) -> dict[str, Any]:
    """What every answer, and every chunk of one, begins with."""
    return {**stamp(here, prefix), "model": model, "system_fingerprint": f"{here.engine.name}-{__version__}"}


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens}
