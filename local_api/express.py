"""Answers that are there at once, without the framework and without a task: what the mock engine's base model says costs less
than the way to it.

Holds to what the gate and the routes say, and says no refusal itself: whatever is not plainly answered takes the long way, which
tells why. Knows the endpoints that have such answers, and no HTTP but headers.

    express = Express(context, generator, noted=activity.note)
    express(b"/v1/chat/completions", headers, body)       # (headers, body), or None
"""

from collections.abc import Callable

import orjson

from local_api.answers import Whole
from local_api.connection import Headers
from local_api.context import Context
from local_api.engines.protocols import AtOnce
from local_api.gate import header
from local_api.limits import Meter
from local_api.routes import chat, completions
from local_api.store.ids import new_id

ENDS: dict[bytes, Callable[[Context, AtOnce, str, bytes], Whole | None]] = {
    b"/v1/chat/completions": chat.at_once, b"/v1/completions": completions.at_once}


class Express:
    """`generator`: the engine's own, which does not count what it says: that is done here. `noted`: told of each answer."""

    def __init__(self, here: Context, generator: AtOnce, noted: Callable[[], None]) -> None:
        self.here, self.generator, self.noted = here, generator, noted

    def __call__(self, target: bytes, headers: Headers, raw: bytes) -> tuple[Headers, bytes] | None:
        """The headers and the body of an answer with status 200; None: not at once."""
        try:
            project = self.here.keys.project(header(headers, b"authorization"))
            found = ENDS[target](self.here, self.generator, project, raw)
            if found is None:
                return None
            meter = self.here.limiter.admit(project, generates=True)
        except Exception:  # the same will happen on the long way, which has an answer to it
            return None
        meter.prompt(found.prompt)
        meter.tokens(found.n_tokens)
        self.noted()
        return told(orjson.dumps(found.content), meter)


def told(body: bytes, meter: Meter) -> tuple[Headers, bytes]:
    more = {"x-request-id": new_id("req_", 32), **meter.headers()}
    return [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"),
            *((name.encode(), value.encode()) for name, value in more.items())], body
