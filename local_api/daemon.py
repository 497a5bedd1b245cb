"""One server for a data directory: lock, bind, discovery file, idle shutdown.

    status = run(settings)

The discovery file `server.json` (url, pid, instance) is written once the server answers, and is gone when it ended. A
file that a killed server left behind is told from a living one by `instance`, which /health repeats.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from filelock import FileLock, Timeout
from uvicorn.loops.auto import auto_loop_factory

from local_api import logs
from local_api.app import create_app
from local_api.auth import PROJECT, Keys, key_in
from local_api.connection import connection
from local_api.context import Context
from local_api.engines import EngineError, load_engine
from local_api.engines.protocols import AtOnce
from local_api.express import ENDS, Express
from local_api.keys import KeysFile, KeysFileError
from local_api.limits import MeteredEmbedder, MeteredGenerator
from local_api.settings import Settings
from local_api.store import Store
from local_api.store.migrations import DatabaseTooNew
from local_api.worker.queue import Worker

log = logging.getLogger(__name__)
ALREADY_RUNNING = 3
IDLE_CHECK_SECONDS = 1.0


def run(settings: Settings) -> int:
    """Serve until told to stop. Returns an exit status: 0, 1 for a start that failed, 3 if a server is already there."""
    logs.set_up(settings.log)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (FileLock(settings.data_dir / "server.lock", timeout=0), bind(settings) as listener,
              asyncio.Runner(loop_factory=auto_loop_factory()) as runner):  # uvloop's loop, where the system has it
            runner.run(serve(settings, listener))
    except Timeout:
        print(f"A server is already running on {settings.data_dir}: use it, or stop it first.", file=sys.stderr)
        return ALREADY_RUNNING
    except sqlite3.DatabaseError as error:
        print(f"The local API could not start: its database in {settings.data_dir} cannot be used ({error})", file=sys.stderr)
        return 1
    except (EngineError, DatabaseTooNew, KeysFileError, OSError) as error:
        print(f"The local API could not start: {error}", file=sys.stderr)
        return 1
    return 0


def bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named so that asyncio switches off Nagle's delay on connections: without, each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise OSError(f"port {settings.port} on {settings.host} cannot be used ({error.strerror}): choose another with --port, "
                      "or --port 0 for a free one") from error
    return listener


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Everything that runs between the start and the end of one server."""
    engine = load_engine(settings.engine, settings.cache_dir, **settings.engine_options)
    file = KeysFile(settings.keys) if settings.keys else None
    keys = Keys({settings.api_key or key_in(settings.data_dir): PROJECT}, file)
    store = Store(settings.data_dir, clock=time.time, quota=lambda project: keys.limits(project).quota)
    # Forms are spooled beside where their files go: /tmp may be small, or memory. What a dead server left there is swept.
    tempfile.tempdir = str(store.contents.incoming)
    worker = Worker(settings, store, engine)
    own, embedder = engine.generator(), engine.embedder()
    generator = own
    if file is not None:
        generator, embedder = MeteredGenerator(own), MeteredEmbedder(embedder)
    context = Context(
        settings=settings, store=store, engine=engine, generator=generator, embedder=embedder, keys=keys, wake=worker.wake,
        clock=time.time, instance=secrets.token_hex(16))
    activity = Activity(create_app(context))
    log_config = None if settings.log == "json" else uvicorn.config.LOGGING_CONFIG
    # Faults and logs wrap the application: where they are asked for, every request goes there.
    plain = settings.faults is None and settings.log != "json"
    quick = Express(context, own, noted=activity.note) if plain and isinstance(own, AtOnce) else None
    server = uvicorn.Server(uvicorn.Config(
        activity, http=connection(quick, frozenset(ENDS)), ws="none", log_level="warning", access_log=False, lifespan="off",
        log_config=log_config, timeout_graceful_shutdown=3))
    worker.start()
    # uvicorn ends on these signals and then raises them once more: they must not kill us before we have cleaned up.
    # One that comes before uvicorn listens for it must not be lost either.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    try:
        async with discovery(settings, listener, context.instance), background(
                end_when_idle(server, activity, store, settings.idle_shutdown), warm(context)):
            await server.serve(sockets=[listener])
    finally:
        worker.stop()
        await context.generator.close()
        store.close()


class Activity:
    """An ASGI wrapper that knows when the last request ended."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app, self.running, self.last = app, 0, time.monotonic()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= 1
            self.note()

    def note(self) -> None:
        """A request ends now."""
        self.last = time.monotonic()


async def end_when_idle(server: uvicorn.Server, activity: Activity, store: Store, limit: float | None) -> None:
    """Ask the server to end after `limit` seconds without a request or a job to do."""
    while limit is not None:
        await asyncio.sleep(min(limit, IDLE_CHECK_SECONDS))
        if activity.running or store.jobs.unfinished():
            activity.last = time.monotonic()
        elif time.monotonic() - activity.last > limit:
            server.should_exit = True


async def warm(context: Context) -> None:
    """Load the base model before anybody waits for it. A failure shows itself again, with a message, when it is asked for."""
    try:
        await context.generator.warm()
    except EngineError as error:
        log.error("%s", error)


@contextlib.asynccontextmanager
async def background(*work: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def discovery(settings: Settings, listener: socket.socket, instance: str) -> AsyncIterator[None]:
    """The file by which clients find the server. The listener queues connections, so it may be written before serving."""
    listener.listen(2048)
    port = listener.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    path = settings.data_dir / "server.json"
    write_atomically(path, json.dumps({"url": url, "pid": os.getpid(), "instance": instance}))
    print(f"Local API ({settings.engine} engine) at {url}/v1, data in {settings.data_dir}", flush=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
