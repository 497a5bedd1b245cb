"""Server-sent events: framing, the end, and what happens when an engine fails or a client leaves."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from local_api import sse
from local_api.engines.protocols import AdapterError, EngineError, GenerationRequest, Piece, Stopped
from local_api.errors import InvalidRequest
from local_api.routes import chat, completions


class Chunks:
    """An iterator of scripted chunks that knows whether it was closed."""

    def __init__(self, *script):
        self.script, self.closed = script, False

    async def __call__(self):
        try:
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed = True


def sent(*script):
    """The text of a streamed response."""
    chunks = Chunks(*script)

    async def run():
        response = await sse.stream(chunks())
        assert response.media_type == "text/event-stream" and response.headers["cache-control"] == "no-cache"
        return [part async for part in response.body_iterator]
    parts = asyncio.run(run())
    assert chunks.closed
    return parts


def test_each_chunk_is_a_line_and_the_last_says_done():
    assert sent({"a": 1}, {"b": "ä"}) == ['data: {"a":1}\n\n', 'data: {"b":"ä"}\n\n', "data: [DONE]\n\n"]


def test_a_sign_of_life_is_a_comment_which_clients_skip():
    assert sent({"a": 1}, None, {"b": 2})[1] == ": still there\n\n"


@pytest.mark.parametrize("text", ["\n", "\r\n\r\n", "data: [DONE]\n\n", '"', "\x00"])
def test_no_text_can_break_the_framing(text):
    event = sse.event({"text": text})
    assert event.endswith("\n\n") and len(event.splitlines()) == 2
    assert json.loads(event.removeprefix("data: ")) == {"text": text}


def test_what_fails_before_the_first_chunk_still_gets_its_status():
    for error in (InvalidRequest("no"), EngineError("no")):
        with pytest.raises(type(error)):
            asyncio.run(sse.stream(Chunks(error)()))


def test_an_engine_that_fails_in_the_middle_is_told_in_the_stream():
    parts = sent({"a": 1}, EngineError("out of memory"))
    assert len(parts) == 2 and "[DONE]" not in parts[1]
    assert json.loads(parts[1].removeprefix("data: "))["error"]["message"] == "out of memory"


def test_a_client_that_leaves_ends_the_chunks():
    chunks = Chunks({"a": 1}, {"b": 2})

    async def leave_early():
        response = await sse.stream(chunks())
        await anext(response.body_iterator)
        await response.body_iterator.aclose()
        return chunks.closed
    assert asyncio.run(leave_early())


@pytest.mark.parametrize("route", ["chat", "completions"])
def test_a_client_that_leaves_frees_its_slots_at_once(here, engine, route):
    requests = [GenerationRequest(prompt=(number,), base_model="tiny") for number in (1, 2)]
    engine.answers.script = {(number,): [Piece("a"), asyncio.Event().wait] for number in (1, 2)}
    order = SimpleNamespace(requests=requests, echo=False, logprobs=None, texts=["", ""], n=1, prompt_tokens=2)
    chunks = chat.chunks(here, requests, {}, {}) if route == "chat" else completions.chunks(here, order, {}, {})

    async def leave_early():
        await anext(chunks)
        await chunks.aclose()
        return sorted(engine.answers.closed)
    assert asyncio.run(leave_early()) == [(1,), (2,)]


@pytest.mark.parametrize(("error", "status", "code"), [
    (EngineError("too long"), 400, None), (AdapterError("/a/b"), 500, "model_unavailable"), (Stopped("x"), 503, "unavailable")])
def test_an_engines_error_has_a_status_that_tells_whose_fault_it_is(error, status, code):
    refusal = sse.from_engine(error)
    assert (refusal.status, refusal.code) == (status, code) and "/a/b" not in refusal.message
