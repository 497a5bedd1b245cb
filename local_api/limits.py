"""What a project may use: requests and tokens a minute, jobs that have not ended, stored bytes.

A bucket of requests and one of tokens for each project, refilled evenly; time is that of a clock that never jumps. A
request is let in while there are tokens left, and what it then takes is taken off: after a long answer one waits longer.
Jobs and bytes are counted by the store, in the transaction that adds them. Knows no HTTP but the headers' names.

    meter = limiter.admit("ann", generates=True)       # RateLimited says how long to wait
    meter.prompt(ids); meter.tokens(3)
"""

import dataclasses
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from local_api.engines.protocols import Embedder, GenerationRequest, Generator, Piece, TokenLogprob
from local_api.errors import RateLimited
from local_api.store.quotas import Quota


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    unfinished_jobs: int | None = None
    stored_bytes: int | None = None

    @property
    def quota(self) -> Quota:
        return Quota(self.unfinished_jobs, self.stored_bytes)


UNLIMITED = Limits()


class Bucket:
    """So many a minute. The level may fall below zero, and rises evenly up to a minute's worth."""

    def __init__(self, limit: int, now: float) -> None:
        self.limit, self.level, self.last = limit, float(limit), now

    def at(self, now: float, limit: int) -> "Bucket":
        """The bucket as it is now; the limit may have changed since."""
        self.limit = limit
        self.level = min(limit, self.level + max(now - self.last, 0.0) * limit / 60)
        self.last = now
        return self

    def seconds_until(self, level: float) -> float:
        return max(level - self.level, 0.0) * 60 / self.limit


class Meter:
    """Takes what one request uses from its project's buckets. `buckets`: by "requests" and "tokens", those that are limited."""

    def __init__(self, buckets: dict[str, Bucket]) -> None:
        self.buckets = buckets
        self.used = 0  # tokens
        self._prompts: dict[int, list[int]] = {}  # held, so that no other list gets the same id

    def tokens(self, number: int) -> None:
        self.used += number
        if "tokens" in self.buckets:
            self.buckets["tokens"].level -= number

    def prompt(self, ids: list[int]) -> None:
        """A prompt is counted once, however many answers it gets: they share its list."""
        if id(ids) not in self._prompts:
            self._prompts[id(ids)] = ids
            self.tokens(len(ids))

    def headers(self) -> dict[str, str]:
        """The headers of an answer, as the hosted API has them."""
        result = {}
        for what, bucket in self.buckets.items():
            result[f"x-ratelimit-limit-{what}"] = str(bucket.limit)
            result[f"x-ratelimit-remaining-{what}"] = str(max(math.floor(bucket.level), 0))
            result[f"x-ratelimit-reset-{what}"] = duration(bucket.seconds_until(bucket.limit))
        return result


class Limiter:
    """The buckets of all projects."""

    def __init__(self, limits: Callable[[str], Limits], clock: Callable[[], float] = time.monotonic) -> None:
        self.limits, self.clock = limits, clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def admit(self, project: str, *, generates: bool) -> Meter:
        """Count a request. Raises RateLimited, which takes nothing. `generates`: it will use tokens."""
        limits, now = self.limits(project), self.clock()
        buckets = {}
        for what, limit in (("requests", limits.requests_per_minute), ("tokens", limits.tokens_per_minute)):
            if limit is not None:
                bucket = self._buckets.setdefault((project, what), Bucket(limit, now))
                buckets[what] = bucket.at(now, limit)
        meter = Meter(buckets)
        for what, bucket in buckets.items():
            if bucket.level < 1 and (what == "requests" or generates):
                raise refusal(project, what, bucket, meter)
        if "requests" in buckets:
            buckets["requests"].level -= 1
        return meter


def refusal(project: str, what: str, bucket: Bucket, meter: Meter) -> RateLimited:
    wait = bucket.seconds_until(1)
    # In whole seconds, as the standard wants it, and in milliseconds, which the official client prefers.
    milliseconds = math.ceil(round(wait * 1000, 3))
    headers = {**meter.headers(), "retry-after": str(math.ceil(milliseconds / 1000)), "retry-after-ms": str(milliseconds)}
    return RateLimited(f"Rate limit reached for project {project} on {what} per min: Limit {bucket.limit}. Please try again in "
                       f"{duration(wait)}.", what=what, headers=headers)


def duration(seconds: float) -> str:
    """As the hosted API writes it: 120ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{math.ceil(rest)}s" if minutes else f"{rest:.3f}".rstrip("0").rstrip(".") + "s"


# The meter of the request that is being answered: set by the gate, found again in every task of that request.
METER: ContextVar[Meter | None] = ContextVar("METER", default=None)


class MeteredGenerator:
    """A generator whose tokens are counted for whoever asked."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        meter = METER.get() or Meter({})
        meter.prompt(request.prompt)
        async with aclosing(self.generator.generate(request)) as pieces:
            async for piece in pieces:
                meter.tokens(piece.n_tokens)
                yield piece

    async def score(self, request: GenerationRequest) -> list[TokenLogprob]:
        (METER.get() or Meter({})).prompt(request.prompt)
        return await self.generator.score(request)

    async def warm(self, adapter: Path | None = None) -> None:
        await self.generator.warm(adapter)

    def forget(self, adapter: Path) -> None:
        self.generator.forget(adapter)

    async def close(self) -> None:
        await self.generator.close()


class MeteredEmbedder:
    """An embedder whose tokens are counted for whoever asked."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.embedder, name)

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        vectors, n_tokens = await self.embedder.embed(texts)
        (METER.get() or Meter({})).tokens(n_tokens)
        return vectors, n_tokens
