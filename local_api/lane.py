"""A short way to the routes that are asked most: found by method and path in a dictionary, instead of one pattern after another.

For routes without parts in their path, whose function takes the request alone and answers with a response. FastAPI has them
too: for the description, and for requests with a query, which it checks. Knows no resource, and no error but those that it is
given handlers for.

    app.add_middleware(Lane, ends=ends(PARTS), handlers={ApiError: refuse})
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

End = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, Exception], Response]


class Lane:
    """Wraps an ASGI application. `handlers`: what answers to an exception, by its class; others go on outwards."""

    def __init__(self, app: Any, *, ends: Mapping[tuple[str, str], End], handlers: Mapping[type[Exception], Handler]) -> None:
        self.app, self.ends, self.handlers = app, ends, handlers

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        end = self.ends.get((scope.get("method", ""), scope.get("path", "")))
        if end is None or scope["query_string"]:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await end(request)
        except Exception as error:
            handler = next((self.handlers[kind] for kind in type(error).__mro__ if kind in self.handlers), None)
            if handler is None:
                raise
            response = handler(request, error)
        await response(scope, receive, send)


def ends(routers: Iterable[APIRouter]) -> dict[tuple[str, str], End]:
    """The functions of the routes that fit, by method and path."""
    return {(method, route.path): route.endpoint
            for router in routers for route in router.routes if isinstance(route, APIRoute) and fits(route)
            for method in route.methods}


def fits(route: APIRoute) -> bool:
    answers = inspect.signature(route.endpoint)
    return ("{" not in route.path and inspect.iscoroutinefunction(route.endpoint)
            and [parameter.annotation for parameter in answers.parameters.values()] == [Request]
            and isinstance(answers.return_annotation, type) and issubclass(answers.return_annotation, Response))
