"""Structured logs: a line of JSON for every request and every trouble. No prompts, no keys, no query strings.

    {"time": "2026-11-23T08:00:00.123Z", "level": "info", "event": "request", "request_id": "req_...", "project": "ann",
     "method": "POST", "path": "/v1/completions", "status": 200, "seconds": 0.012, "bytes": 512, "tokens": 40}

Of an exception the type and the places are told and not the message, which may quote what somebody sent.
"""

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

requests = logging.getLogger("local_api.requests")


class JsonLines(logging.Formatter):
    """Turns a record into a line of JSON; `fields` given by `extra` stand in it as they are."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": when, "level": record.levelname.lower(), "event": record.getMessage(), **getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            line["exception"] = record.exc_info[0].__name__
            line["places"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line, ensure_ascii=False)


def set_up(style: Literal["text", "json"]) -> None:
    """`text` leaves everything as it is: warnings and errors go to standard error as they are said.

    `json` takes in what would be printed besides: Python's warnings, and the exceptions that nobody catches.
    """
    if style == "json":
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
        logging.captureWarnings(True)
        sys.excepthook = uncaught
        threading.excepthook = lambda met: uncaught(met.exc_type, met.exc_value, met.exc_traceback)


def uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    """What Python would print as a traceback."""
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("local_api").critical("an exception that nobody caught", exc_info=(kind, error, where))


class RequestLog:
    """An ASGI wrapper that tells of every request once it is answered; the gate has left in its state whose it was."""

    def __init__(self, app: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.clock = app, clock

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, size = self.clock(), 500, 0  # 500: what an error of ours becomes further out

        async def counted(message: Any) -> None:
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)

        state = scope.setdefault("state", {})
        try:
            await self.app(scope, receive, counted)
        finally:
            meter = state.get("meter")
            requests.info("request", extra={"fields": {
                "request_id": state.get("request_id"), "project": state.get("project"), "method": scope["method"],
                "path": scope["path"], "status": status, "seconds": round(self.clock() - began, 4), "bytes": size,
                **({"tokens": meter.used} if meter and meter.used else {})}})
