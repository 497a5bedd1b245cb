"""Answers that are there at once: the same as those of the long way, counted alike, and only where nothing else is due."""

import asyncio
import dataclasses
import itertools
import json
from types import SimpleNamespace

import httpx
import pytest

from local_api import keys
from local_api.app import create_app
from local_api.auth import Keys
from local_api.engines.mock.engine import MockEngine
from local_api.engines.mock.generator import MockGenerator
from local_api.express import ENDS, Express
from local_api.keys import KeysFile
from local_api.limits import MeteredGenerator

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MESSAGES = {"messages": [{"role": "user", "content": "Where is my parcel?"}]}
CHANGING = {"id", "created"}


@pytest.fixture
def mock(here, tmp_path):
    """A server's parts with the mock engine, and a key of a project with limits."""
    engine = MockEngine()
    file = tmp_path / "keys.toml"
    key = keys.add(file, "ann")
    file.write_text(file.read_text().replace("[projects.ann]", "[projects.ann]\nrequests_per_minute = 4\ntokens_per_minute = 1000"))
    parts = dataclasses.replace(here, engine=engine, generator=MeteredGenerator(engine.generator()), embedder=engine.embedder(),
                                keys=Keys({"sk-test": "default"}, KeysFile(file)))
    return SimpleNamespace(here=parts, key=key, generator=engine.generator(), app=create_app(parts))


def short(mock, path, body, key="sk-test"):
    """(headers, answer) of the short way, or None."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    noted = []
    express = Express(mock.here, mock.generator, noted=lambda: noted.append(1))
    found = express(path.encode(), [(b"host", b"t"), (b"authorization", f"Bearer {key}".encode())], raw)
    assert len(noted) == (found is not None)
    return found and ({name.decode(): value.decode() for name, value in found[0]}, json.loads(found[1]))


def long(mock, path, body, key="sk-test"):
    """(headers, answer) of the long way."""
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(mock.app), base_url="http://t") as client:
            return await client.post(path, headers={"authorization": f"Bearer {key}"}, json=body)
    response = asyncio.run(ask())
    assert response.status_code == 200, response.text
    return dict(response.headers), response.json()


@pytest.mark.parametrize(("path", "body"), [
    (CHAT, MESSAGES),
    (CHAT, {**MESSAGES, "max_completion_tokens": 3, "temperature": 0, "seed": 5, "user": "a", "store": False}),
    (CHAT, {**MESSAGES, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"const": "yes"}}}}),
    (COMPLETIONS, {"prompt": "Hello"}),
    (COMPLETIONS, {"prompt": ["Hello"], "echo": True, "max_tokens": 4}),
    (COMPLETIONS, {"max_tokens": 50}),
])
def test_both_ways_say_the_same(mock, path, body):
    body = {"model": "mock-base", **body}
    (short_headers, said), (long_headers, repeated) = short(mock, path, body), long(mock, path, body)
    assert list(said) == list(repeated)
    assert {name: value for name, value in said.items() if name not in CHANGING} == {
        name: value for name, value in repeated.items() if name not in CHANGING}
    assert list(short_headers) == list(long_headers) and short_headers["content-type"] == long_headers["content-type"]
    assert said["id"] != repeated["id"] and len(said["id"]) == len(repeated["id"])
    assert len(short_headers["x-request-id"]) == len(long_headers["x-request-id"])


@pytest.mark.parametrize(("path", "body"), [
    (CHAT, {**MESSAGES, "stream": True}), (CHAT, {**MESSAGES, "n": 2}), (CHAT, {**MESSAGES, "logprobs": True}),
    (CHAT, {**MESSAGES, "stop": "."}), (CHAT, {**MESSAGES, "temperature": 1.5}), (CHAT, {**MESSAGES, "logit_bias": {"5": 1}}),
    (CHAT, {"messages": []}), (CHAT, {**MESSAGES, "model": "nothing"}), (CHAT, {**MESSAGES, "tools": [{"type": "function"}]}),
    (CHAT, b"{"), (CHAT, b"[]"), (COMPLETIONS, {"prompt": ["a", "b"]}), (COMPLETIONS, {"prompt": "a", "max_tokens": 0}),
    (COMPLETIONS, {"prompt": "a", "best_of": 2}), (COMPLETIONS, {"prompt": "a", "echo": True, "logprobs": 1}),
    (COMPLETIONS, {"prompt": "a", "stream": True})], ids=str)
def test_what_is_not_plainly_answered_takes_the_long_way(mock, path, body):
    assert short(mock, path, body if isinstance(body, bytes) else {"model": "mock-base", **body}) is None


def test_a_fine_tuned_model_takes_the_long_way(mock, make_model):
    name = make_model(base_model="mock-base", parent="mock-base")
    assert short(mock, CHAT, {**MESSAGES, "model": name}) is None


@pytest.mark.parametrize("key", ["sk-wrong", ""])
def test_without_a_key_there_is_no_answer(mock, key):
    assert short(mock, CHAT, {"model": "mock-base", **MESSAGES}, key) is None


def test_both_ways_take_from_the_same_limits(mock):
    body = {"model": "mock-base", **MESSAGES}
    headers, said = short(mock, CHAT, body, mock.key)
    assert headers["x-ratelimit-remaining-requests"] == "3"
    left = int(headers["x-ratelimit-remaining-tokens"])
    assert 1000 - left == said["usage"]["total_tokens"]
    headers, _ = long(mock, CHAT, body, mock.key)
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert int(headers["x-ratelimit-remaining-tokens"]) == pytest.approx(left - said["usage"]["total_tokens"], abs=2)
    assert short(mock, CHAT, body, mock.key) and short(mock, CHAT, body, mock.key)
    assert short(mock, CHAT, body, mock.key) is None, "the fifth request of a minute is refused, by the long way"


def test_what_was_said_is_remembered_and_what_is_refused_is_not(mock):
    class Counted(MockGenerator):
        asked = 0

        def at_once(self, request):
            self.asked += 1
            return super().at_once(request)

    generator, seconds = Counted(), itertools.count(100, 100)
    express = Express(dataclasses.replace(mock.here, clock=lambda: next(seconds)), generator, noted=lambda: None)

    def ask(body, key=mock.key):
        found = express(CHAT.encode(), [(b"authorization", f"Bearer {key}".encode())], json.dumps(body).encode())
        return found and (dict(found[0]), json.loads(found[1]))

    body = {"model": "mock-base", **MESSAGES}
    (first_headers, first), (headers, again) = ask(body), ask(body)
    assert generator.asked == 1
    assert {**again, **{name: first[name] for name in CHANGING}} == first
    assert first["id"] != again["id"] and again["created"] > first["created"]
    limited = b"x-ratelimit-remaining-requests"
    assert (first_headers[limited], headers[limited]) == (b"3", b"2"), "each time is counted"
    assert ask(body, "sk-wrong") is None
    ask({**body, "temperature": 0})
    assert generator.asked == 2
    assert ask({**body, "model": "nothing"}, "sk-test") is ask({**body, "model": "nothing"}, "sk-test") is None
    assert express.find.cache_info().currsize == 2
    assert ask(body, "sk-test") and generator.asked == 3, "another project's request is found anew"


def test_the_paths_are_routes(mock):
    assert {target.decode() for target in ENDS} <= set(mock.app.openapi()["paths"])
