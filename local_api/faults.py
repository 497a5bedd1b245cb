"""Errors made on purpose, for lessons and tests: what a client meets at a hosted service on a bad day, the same each time.

    spec = FaultSpec.parse("429=0.1,500=0.1,seed=7")
    app.add_middleware(Faults, spec=spec)

| name | what happens to that share of the requests |
|---|---|
| 429 | refused with rate_limit_exceeded and `retry-after`; nothing was done |
| 500 | refused with server_error; nothing was done |
| timeout | answered, `seconds` too late (5 unless told): the work was done |
| slow | a stream's events, or an answer, come `pace` seconds apart (0.2 unless told) |
| broken | the connection ends in the middle of the answer or the stream: the work was done |

The n-th request of a project meets what the seed and n say, whatever other projects do. Knows no resource.
"""

import asyncio
import dataclasses
import math
import random
from collections import Counter
from typing import Any

from fastapi.responses import JSONResponse

from local_api.errors import ApiError, RateLimited

KINDS = ("429", "500", "timeout", "slow", "broken")
RETRY_SECONDS = 1


class Broken(Exception):
    """The answer ends here, as if the network had."""


@dataclasses.dataclass(frozen=True, slots=True)
class FaultSpec:
    """Shares of the requests that meet each kind of fault."""

    shares: dict[str, float]
    seed: int = 0
    seconds: float = 5.0
    pace: float = 0.2

    @classmethod
    def parse(cls, text: str) -> "FaultSpec":
        """From `429=0.1,500=0.1,seed=7`. Raises ValueError naming the part."""
        shares: dict[str, float] = {}
        options: dict[str, Any] = {}
        for part in filter(None, map(str.strip, text.split(","))):
            name, _, given = part.partition("=")
            try:
                value = int(given) if name == "seed" else float(given)
            except ValueError:
                raise ValueError(f"{part!r} must be NAME=NUMBER, as in 429=0.1") from None
            if name in KINDS and 0 <= value <= 1:
                shares[name] = value
            elif name == "seed" or (name in ("seconds", "pace") and 0 <= value < math.inf):
                options[name] = value
            else:
                raise ValueError(f"{part!r} is not known here: give shares from 0 to 1 of {', '.join(KINDS)}, and seed, seconds "
                                 "or pace")
        if not 0 < sum(shares.values()) <= 1:
            raise ValueError(f"the shares add up to {sum(shares.values()):g}: they must be more than 0 and at most 1")
        return cls(shares, **options)

    def draw(self, number: int) -> tuple[str | None, random.Random]:
        """What the request of that number meets, None for nothing; and the randomness for how."""
        chance = random.Random(f"{self.seed}:{number}")
        met = chance.random()
        for kind, share in self.shares.items():
            met -= share
            if met < 0:
                return kind, chance
        return None, chance


class Faults:
    """An ASGI wrapper that makes them. Stands behind the gate, which has found out whose the request is."""

    def __init__(self, app: Any, *, spec: FaultSpec) -> None:
        self.app, self.spec = app, spec
        self.seen: Counter[str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        project = scope.get("state", {}).get("project")
        if scope["type"] != "http" or project is None:
            await self.app(scope, receive, send)
            return
        kind, chance = self.spec.draw(self.seen[project])
        self.seen[project] += 1
        if kind in ("429", "500"):
            error = refusal(kind)
            refused = JSONResponse(error.envelope(), error.status, headers={**error.headers, "connection": "close"})
            await refused(scope, receive, send)
            return
        senders = {"timeout": delayed(send, "http.response.start", self.spec.seconds),
                   "slow": delayed(send, "http.response.body", self.spec.pace), "broken": self.broken(send, chance)}
        try:
            await self.app(scope, receive, senders.get(kind, send))
        except Broken:
            return  # an answer that is not whole: the server closes the connection

    def broken(self, send: Any, chance: random.Random) -> Any:
        """After some parts of a stream, or half of an answer that comes as one."""
        left = chance.randint(1, 3)

        async def broken(message: Any) -> None:
            nonlocal left
            if message["type"] == "http.response.body":
                left -= 1
                if left == 0 or not message.get("more_body"):
                    half = message.get("body", b"")[:len(message.get("body", b"")) // 2]
                    await send({"type": "http.response.body", "body": half, "more_body": True})
                    raise Broken
            await send(message)
        return broken


def delayed(send: Any, what: str, seconds: float) -> Any:
    """`send` that waits before messages of that type."""
    async def waiting(message: Any) -> None:
        if message["type"] == what:
            await asyncio.sleep(seconds)
        await send(message)
    return waiting


def refusal(kind: str) -> ApiError:
    if kind == "429":
        return RateLimited("Rate limit reached, as the server was asked to say now and then (--faults). Please try again in "
                           f"{RETRY_SECONDS}s.", what="requests", headers={"retry-after": str(RETRY_SECONDS)})
    return ApiError("The server had an error, as it was asked to have now and then (--faults).", code="internal_error")
