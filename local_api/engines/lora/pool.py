"""Which adapters are loaded: a llama.cpp server is replaced by another when an adapter is asked for that it does not have.

The new one is made in a thread while the old one goes on serving; requests in flight end on the server they began on,
so a request never meets another adapter than its own. The base model is always there.

    llama = await pool.server(adapter)   # lives as long as somebody holds it
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from local_api.engines.lora.adapters import AdapterFile
from local_api.engines.lora.llama import Llama
from local_api.engines.protocols import AdapterError

MAX_ADAPTERS = 16  # 8 MB of memory each; the one that was not used for the longest time goes


class Pool:
    """The asyncio side of a server and its successors."""

    def __init__(self, make: Callable[[Sequence[AdapterFile]], Llama], check: Callable[[AdapterFile], None]) -> None:
        """`make` blocks for about a second; `check` raises AdapterError for an adapter that must not reach `make`."""
        self._make, self._check = make, check
        self._llama: Llama | None = None
        self._recent: OrderedDict[AdapterFile, None] = OrderedDict()  # loaded or to be loaded, the last used last
        self._replacing = asyncio.Lock()

    async def server(self, adapter: AdapterFile | None) -> Llama:
        """A server that has the adapter."""
        while True:
            llama = self._llama
            if llama is not None and (adapter is None or adapter in llama.adapters):
                if adapter is not None:
                    self._use(adapter)
                return llama
            if adapter is not None and adapter not in self._recent:
                await asyncio.to_thread(self._check, adapter)
                self._use(adapter)
            async with self._replacing:
                if self._llama is llama:  # else somebody replaced it while this request waited: look again
                    await self._replace(adapter)

    def forget(self, path: Path) -> None:
        """The adapter at `path` is left out when the next server is made; until then it only takes memory."""
        for adapter in [adapter for adapter in self._recent if adapter.path == path]:
            del self._recent[adapter]

    def close(self) -> None:
        """Let the server go; it ends with the last request that holds it."""
        self._llama = None
        self._recent.clear()

    def _use(self, adapter: AdapterFile) -> None:
        self._recent[adapter] = None
        self._recent.move_to_end(adapter)

    async def _replace(self, wanted: AdapterFile | None) -> None:
        """Make a server with what was used last and all that is asked for now."""
        if wanted is not None:
            self._use(wanted)
        while len(self._recent) > MAX_ADAPTERS:
            self._recent.popitem(last=False)
        for adapter in [adapter for adapter in self._recent if not adapter.path.exists()]:
            del self._recent[adapter]
        if wanted is not None and wanted not in self._recent:
            raise AdapterError(f"the adapter {wanted.path} is gone: was its model deleted?")
        try:
            self._llama = await asyncio.to_thread(self._make, tuple(self._recent))
        except AdapterError:
            # One of them passed the check and yet cannot be loaded: kept here, it would block all the others for ever.
            self._recent.clear()
            raise
