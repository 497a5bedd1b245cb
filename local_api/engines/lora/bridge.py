"""Pieces of an answer from the thread that makes them to the event loop that passes them on.

It knows threads and asyncio, and nothing of models.

    async with Bridge() as bridge:
        bridge.watch(loop.run_in_executor(threads, work, bridge.emit))
        async for piece in bridge: ...
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from local_api.engines.protocols import Piece


class Bridge:
    """Leaving the block sets `abandoned`: nobody listens any more."""

    def __init__(self) -> None:
        self.abandoned = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Piece | None] = asyncio.Queue()

    def emit(self, piece: Piece) -> None:
        """Called in the thread."""
        if piece.text or piece.tokens or piece.n_tokens or piece.finish_reason:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    def watch(self, work: asyncio.Future[None]) -> None:
        """`work` is what emits; its end ends the iteration, and its error is raised there."""
        self._work = work
        work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Future[None]) -> None:
        if not work.cancelled():
            work.exception()  # looked at here, so that asyncio does not complain when the listener has left
        self._pieces.put_nowait(None)

    async def __aenter__(self) -> "Bridge":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandoned.set()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
        self._work.result()


class Collected:
    """Passes on one piece where many came: for those who want the answer whole."""

    def __init__(self, emit: Callable[[Piece], None]) -> None:
        self._emit = emit
        self._pieces: list[Piece] = []

    def __call__(self, piece: Piece) -> None:
        self._pieces.append(piece)
        if piece.finish_reason:
            text = "".join(part.text for part in self._pieces)
            tokens = tuple(token for part in self._pieces for token in part.tokens)
            self._emit(Piece(text, tokens, sum(part.n_tokens for part in self._pieces), piece.finish_reason))
