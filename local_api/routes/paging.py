"""Lists as the hosted API gives them."""

from collections.abc import Callable, Sequence
from sqlite3 import Row
from typing import Any

from local_api.errors import InvalidRequest


def page(fetch: Callable[..., tuple[list[Row], bool]], shape: Callable[[Row], dict[str, Any]], *, limit: int,
         after: str | None, most: int = 100, **options: Any) -> dict[str, Any]:
    """A page of `fetch`, which raises LookupError for an `after` that is not there."""
    if not 1 <= limit <= most:
        raise InvalidRequest(f"limit must be between 1 and {most}, not {limit}.", param="limit")
    try:
        rows, more = fetch(limit=limit, after=after, **options)
    except LookupError:
        raise InvalidRequest(f"No object with the id '{after}' to list after.", param="after") from None
    return as_list([shape(row) for row in rows], more)


def as_list(data: Sequence[dict[str, Any]], more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": more,
            "first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
