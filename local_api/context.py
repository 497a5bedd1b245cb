"""What a route needs: handed to `create_app`, read from the request. Holds things together and does nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from fastapi import Request

from local_api.auth import Keys
from local_api.engines.protocols import Embedder, Engine, Generator
from local_api.limits import Limiter
from local_api.settings import Settings
from local_api.store import Store


@dataclass(frozen=True)
class Context:
    """One server's parts. `wake` tells the worker that there may be something to do."""

    settings: Settings
    store: Store
    engine: Engine
    generator: Generator
    embedder: Embedder
    keys: Keys
    wake: Callable[[], None]
    clock: Callable[[], float]
    instance: str  # a random token: the discovery file and /health show the same one

    @cached_property
    def limiter(self) -> Limiter:
        """What counts every request that the keys let in."""
        return Limiter(self.keys.limits)


def context(request: Request) -> Context:
    return request.app.state.context


def project(request: Request) -> str:
    """The project of the key that the request carries: the gate, which every request passes, has found it out."""
    return request.state.project


async def raw_body(request: Request) -> bytes:
    """The body's bytes: for routes that run in a thread and read it with `wire`."""
    return await request.body()
