"""Query parameters that a route does not know are refused by name: a filter that is dropped in silence gives a wrong list."""

from fastapi import Request

from local_api.errors import InvalidRequest


def known_query(request: Request) -> None:
    """A dependency of every route. Raises InvalidRequest. `metadata` and `metadata[key]` filter jobs; that route reads them."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        is_filter = name == "metadata" or name.startswith("metadata[")
        if name not in known and not (is_filter and request.url.path == "/v1/fine_tuning/jobs" and request.method == "GET"):
            raise InvalidRequest(f"Unknown query parameter: '{name}'.", param=name, code="unknown_parameter")
