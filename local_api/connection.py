"""A connection of uvicorn's, read by httptools, with a limit on the head of a request: its parser takes one of any length.

Knows no resource.

    uvicorn.Config(app, http=BoundedHead)
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024


class BoundedHead(HttpToolsProtocol):
    """Refuses a request whose head has not ended after MAX_HEAD_BYTES, as it refuses what is no HTTP."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.in_head, self.head_bytes = False, 0

    def data_received(self, data: bytes) -> None:
        before = self.scope
        super().data_received(data)
        if self.in_head and self.scope is before:  # all of it belongs to a head that began earlier and has not ended
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The head of the request has more than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()  # with a new scope
        self.in_head, self.head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self.in_head = False
        super().on_headers_complete()
