"""The short way: which requests take it, and that errors end as they do on the long one."""

import asyncio

import httpx
import pytest

from local_api.app import HANDLERS, create_app
from local_api.errors import Conflict
from local_api.lane import Lane, ends
from local_api.routes import PARTS
from local_api.sse import Json


def through(end, *, method="POST", path="/v1/x", query=b""):
    """(status, body) of an answer; 299 is what the application behind the lane says."""
    sent = []

    async def app(scope, receive, send):
        await Json({"way": "long"}, 299)(scope, receive, send)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": []}
    asyncio.run(Lane(app, ends={("POST", "/v1/x"): end}, handlers=HANDLERS)(scope, None, send))
    return sent[0]["status"], sent[1]["body"]


async def answered(request):
    return Json({"path": request.url.path})


def test_a_route_in_the_dictionary_answers_by_itself():
    assert through(answered) == (200, b'{"path":"/v1/x"}')


@pytest.mark.parametrize("other", [{"method": "GET"}, {"path": "/v1/x/"}, {"query": b"limit=1"}])
def test_another_method_another_path_and_a_query_take_the_long_way(other):
    assert through(answered, **other) == (299, b'{"way":"long"}')


def test_a_refusal_becomes_its_envelope_and_a_bug_goes_on_outwards():
    async def refused(request):
        raise Conflict("No.", code="own")

    async def broken(request):
        raise ZeroDivisionError

    status, body = through(refused)
    assert status == 409 and b'"code":"own"' in body
    with pytest.raises(ZeroDivisionError):
        through(broken)


def test_what_is_asked_most_has_a_short_way_and_paths_with_parts_have_none():
    found = ends(PARTS)
    assert {("POST", f"/v1/{name}") for name in ("chat/completions", "completions", "embeddings", "responses")} == set(found)


def test_both_ways_refuse_alike(here):
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(here)), base_url="http://t") as client:
            head = {"authorization": "Bearer sk-test"}
            body = {"model": "nothing", "prompt": "Hello"}
            return [await client.post(path, headers=head, json=body)
                    for path in ("/v1/completions", "/v1/engines/nothing/completions")]

    short, long = asyncio.run(ask())
    assert short.status_code == long.status_code and short.json() == long.json()
    assert "x-request-id" in short.headers
