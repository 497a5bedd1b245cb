"""A connection of uvicorn's, read by httptools, with two additions: a limit on the head of a request, since the parser takes one
of any length; and a request that can be answered at once is, before there is a task for it.

Knows no resource. What answers at once is told by whoever puts the server together; what it leaves goes to the application.

    uvicorn.Config(app, http=connection(express))
"""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
MAX_HELD_BYTES = 32 * 1024  # of a body: a longer one is not answered at once
HELD_SECONDS = 0.05  # until the rest of such a body is awaited by the application, which knows what is too slow
Headers = list[tuple[bytes, bytes]]
# From a POST's target, headers and body to the headers and the body of an answer with status 200; None: not at once.
AtOnce = Callable[[bytes, Headers, bytes], tuple[Headers, bytes] | None]


class Connection(HttpToolsProtocol):
    """Refuses a request whose head has not ended after MAX_HEAD_BYTES, as it refuses what is no HTTP."""

    at_once: AtOnce | None = None  # set by `connection`
    targets: frozenset[bytes] = frozenset()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.in_head, self.head_bytes = False, 0
        self.held: bytearray | None = None  # the body so far of a request that may be answered at once

    def data_received(self, data: bytes) -> None:
        before = self.scope
        super().data_received(data)
        if self.held is not None:  # most clients send the body after the head
            self.loop.call_later(HELD_SECONDS, self.hand_on, self.held)
        if self.in_head and self.scope is before:  # all of it belongs to a head that began earlier and has not ended
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The head of the request has more than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()  # with a new scope
        self.in_head, self.head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self.in_head = False
        if self.url in self.targets and self.is_ordinary():
            self.held = bytearray()
        else:
            super().on_headers_complete()

    def is_ordinary(self) -> bool:
        """Whether nothing but an answer is due: no other request is being answered, and the client takes what is written, on
        a connection that stays."""
        return (self.parser.get_method() == b"POST" and self.parser.get_http_version() == "1.1"
                and self.parser.should_keep_alive() and not self.parser.should_upgrade() and not self.expect_100_continue
                and (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused)

    def on_body(self, body: bytes) -> None:
        if self.held is None:
            super().on_body(body)
            return
        self.held += body
        if len(self.held) > MAX_HELD_BYTES:
            self.hand_on(self.held)

    def on_message_complete(self) -> None:
        if self.held is not None:
            found = self.at_once(self.url, self.headers, bytes(self.held))
            if found is not None:
                self.held = None
                self.answer(*found)
                return
            self.hand_on(self.held)
        super().on_message_complete()

    def hand_on(self, held: bytearray) -> None:
        """Let the application have the request whose body is held so far, unless that has happened."""
        if self.held is not held or self.parser is None:
            return
        self.held = None
        super().on_headers_complete()
        if held:
            super().on_body(bytes(held))

    def answer(self, headers: Headers, body: bytes) -> None:
        lines = [STATUS_LINE[200]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        self.transport.write(b"".join((*lines, b"\r\n", body)))
        self.on_response_complete()

    def shutdown(self) -> None:
        if self.held is not None:
            self.hand_on(self.held)
        super().shutdown()


def connection(at_once: AtOnce | None, targets: frozenset[bytes]) -> type[Connection]:
    """The class of connections whose POST requests to these targets may be answered at once."""
    return type("Connection", (Connection,), {"at_once": staticmethod(at_once), "targets": targets if at_once else frozenset()})
