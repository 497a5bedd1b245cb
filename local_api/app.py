"""The application: routes in one list, errors in one place.

    app = create_app(Context(settings=..., store=..., engine=..., ...))

Knows no resource; each has its file in `routes/`.
"""

import logging
import sqlite3

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from local_api import __version__
from local_api.context import Context
from local_api.engines.protocols import EngineError
from local_api.errors import ApiError, InvalidRequest, MethodNotAllowed, NotFound, TooLarge, Unavailable
from local_api.faults import Faults
from local_api.gate import Gate
from local_api.lane import Lane, ends
from local_api.logs import RequestLog
from local_api.routes import PARTS, ROUTERS
from local_api.sse import from_engine

log = logging.getLogger(__name__)


def create_app(context: Context) -> FastAPI:
    """The ASGI application of one server."""
    app = FastAPI(title="Local API", version=__version__, docs_url="/docs", redoc_url=None,
                  telemetry=dict.fromkeys(("tracing", "metrics", "logs"), False))  # looking for it takes time at each request
    app.state.context = context
    # What is added last is outermost: a request is logged, then let in, and then may meet a fault that was asked for.
    app.add_middleware(Lane, ends=ends(PARTS), handlers=HANDLERS)
    if context.settings.faults is not None:
        app.add_middleware(Faults, spec=context.settings.faults)
    app.add_middleware(Gate, keys=context.keys, limiter=context.limiter, max_bytes=context.settings.max_upload_bytes)
    if context.settings.log == "json":
        app.add_middleware(RequestLog)
    for router in ROUTERS:
        app.include_router(router)
    for kind, handler in {**HANDLERS, Exception: apologise}.items():
        app.add_exception_handler(kind, handler)
    return app


def refuse(request: Request, error: Exception) -> JSONResponse:
    """The envelope of an ApiError."""
    assert isinstance(error, ApiError)
    return JSONResponse(error.envelope(), error.status, headers=error.headers)


def refuse_http(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths and methods, broken multipart bodies."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ApiError):  # the gate's word, on a form that is too long or too slow
        return refuse(request, error.__cause__)
    place = f"{request.method} {request.url.path}"
    by_status = {404: NotFound(f"Unknown request URL: {place}. See /docs for the paths that exist.", code="unknown_url"),
                 405: MethodNotAllowed(f"Not allowed to {request.method} on {request.url.path}."),
                 413: TooLarge(str(error.detail))}
    return refuse(request, by_status.get(error.status_code, InvalidRequest(str(error.detail))))


def refuse_query(request: Request, error: Exception) -> JSONResponse:
    """A query or form field of the wrong type."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = str(first["loc"][-1])
    return refuse(request, InvalidRequest(f"Invalid value for '{field}': {first['msg']}.", param=field, code="invalid_value"))


def refuse_engine(request: Request, error: Exception) -> JSONResponse:
    """What the engine cannot do."""
    return refuse(request, from_engine(error))


def refuse_database(request: Request, error: Exception) -> JSONResponse:
    """A database that is full or locked is no mistake of the client's, and worth another try."""
    log.error("%s %s: %s", request.method, request.url.path, error)
    return refuse(request, Unavailable("The server's database did not answer; try again.", headers={"retry-after": "1"}))


def apologise(request: Request, error: Exception) -> JSONResponse:
    """A bug of ours: the log has the traceback (the framework raises it again), the client does not."""
    name = getattr(request.state, "request_id", None)
    return refuse(request, ApiError("The server had an error while processing your request. Its log tells more.",
                                    code="internal_error", headers={"x-request-id": name} if name else None))


HANDLERS = {ApiError: refuse, HTTPException: refuse_http, RequestValidationError: refuse_query,
            sqlite3.OperationalError: refuse_database, EngineError: refuse_engine}
