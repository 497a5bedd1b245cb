"""Answers that are there at once, without the framework and without a task: what the mock engine's base model says costs less
than the way to it. It says the same to the same request, so what was said lately need not be found again.

Holds to what the gate and the routes say, and says no refusal itself: whatever is not plainly answered takes the long way, which
tells why. Knows the endpoints that have such answers, and no HTTP but headers.

    express = Express(context, generator, noted=activity.note)
    express(b"/v1/chat/completions", headers, body)       # (headers, body), or None
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from local_api.answers import stamp
from local_api.connection import Headers
from local_api.context import Context
from local_api.engines.protocols import AtOnce
from local_api.gate import header
from local_api.limits import Meter
from local_api.routes import chat, completions
from local_api.store.ids import new_id

Find = Callable[[Context, AtOnce, str, bytes], dict[str, Any] | None]
ENDS: dict[bytes, tuple[str, Find]] = {  # the prefix of an answer's id, and what makes the answer
    b"/v1/chat/completions": (chat.ID, chat.at_once), b"/v1/completions": (completions.ID, completions.at_once)}
REMEMBERED = 256  # requests; the longest that come here have 32 KiB


class Express:
    """`generator`: the engine's own, which does not count what it says: that is done here. `noted`: told of each answer."""

    def __init__(self, here: Context, generator: AtOnce, noted: Callable[[], None]) -> None:
        self.here, self.generator, self.noted = here, generator, noted
        # A base model does not change, so neither does what is found; what is refused is not remembered. One project's requests
        # make no answer quicker for another, who could tell by that what was asked.
        self.find = lru_cache(REMEMBERED)(self._find)

    def _find(self, target: bytes, project: str, raw: bytes) -> dict[str, Any] | None:
        _, at_once = ENDS[target]
        return at_once(self.here, self.generator, project, raw)

    def __call__(self, target: bytes, headers: Headers, raw: bytes) -> tuple[Headers, bytes] | None:
        """The headers and the body of an answer with status 200; None: not at once."""
        try:
            project = self.here.keys.project(header(headers, b"authorization"))
            found = self.find(target, project, raw)
            if found is None:
                return None
            meter = self.here.limiter.admit(project, generates=True)
        except Exception:  # the same will happen on the long way, which has an answer to it
            return None
        meter.tokens(found["usage"]["total_tokens"])
        self.noted()
        prefix, _ = ENDS[target]
        return told(orjson.dumps({**found, **stamp(self.here, prefix)}), meter)


def told(body: bytes, meter: Meter) -> tuple[Headers, bytes]:
    more = {"x-request-id": new_id("req_", 32), **meter.headers()}
    return [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"),
            *((name.encode(), value.encode()) for name, value in more.items())], body
