"""Errors made on purpose: the same each time, and each as a client would meet it."""

import asyncio
import time

import pytest

from local_api.faults import Faults, FaultSpec


def requests(spec, n, *, project="ann", parts=(b"one", b"two", b"three", b"four")):
    """What becomes of `n` requests in turn, whose answers are streams of `parts`: (status, bytes, whether it came to its end)."""
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": len(parts) > 1})
        if len(parts) > 1:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    faults, met = Faults(app, spec=FaultSpec.parse(spec)), []

    async def run():
        for _ in range(n):
            sent = []

            async def send(message, sent=sent):
                sent.append(message)
            await faults({"type": "http", "state": {"project": project}}, None, send)
            body = b"".join(message.get("body", b"") for message in sent)
            met.append((sent[0]["status"], body, not sent[-1].get("more_body", False)))
    asyncio.run(run())
    return met


WHOLE = (200, b"onetwothreefour", True)


def test_the_same_seed_makes_the_same_errors_in_each_project():
    spec = "429=0.3,500=0.2,broken=0.2,seed=7"
    first = requests(spec, 60)
    assert requests(spec, 60) == first == requests(spec, 60, project="bob")
    assert requests("429=0.3,500=0.2,broken=0.2,seed=8", 60) != first
    statuses = [status for status, _, _ in first]
    assert 10 <= statuses.count(429) <= 26 and 5 <= statuses.count(500) <= 20 and WHOLE in first
    assert any(status == 200 and not whole for status, _, whole in first)


@pytest.mark.parametrize("kind", ["429", "500"])
def test_a_refusal_is_an_envelope_and_comes_before_anything_is_done(kind):
    [(status, body, whole)] = requests(f"{kind}=1", 1)
    assert status == int(kind) and b'"error"' in body and b"--faults" in body and b"one" not in body and whole


def test_a_broken_stream_ends_after_some_of_its_parts_and_a_broken_answer_in_its_middle():
    ends = {body for status, body, whole in requests("broken=1", 30) if not whole}
    assert ends == {b"o", b"onet", b"onetwoth"}
    assert {body for _, body, _ in requests("broken=1", 5, parts=(b"a whole answer",))} == {b"a whole"}


@pytest.mark.parametrize("spec", ["timeout=1,seconds=0.05", "slow=1,pace=0.02"])
def test_what_is_slow_comes_whole(spec):
    began = time.monotonic()
    assert requests(spec, 1) == [WHOLE]
    assert time.monotonic() - began >= 0.05


def test_what_needs_no_key_meets_no_fault():
    sent = []

    async def app(scope, receive, send):
        sent.append(scope)
    asyncio.run(Faults(app, spec=FaultSpec.parse("500=1"))({"type": "http"}, None, None))
    assert len(sent) == 1


@pytest.mark.parametrize(("text", "message"), [
    ("", "add up to 0"), ("seed=1", "add up to 0"), ("429=0.6,500=0.6", "add up to 1.2"), ("429", "'429' must be NAME=NUMBER"),
    ("429=often", "'429=often' must be NAME=NUMBER"), ("404=0.1", "'404=0.1' is not known here: give shares"),
    ("429=2", "'429=2' is not known"), ("429=-1", "'429=-1' is not known"), ("429=nan", "'429=nan' is not known"),
    ("429=0.1,seconds=inf", "'seconds=inf' is not known"), ("429=0.1,seed=x", "'seed=x' must be")])
def test_a_spec_that_cannot_be_is_refused_by_its_part(text, message):
    with pytest.raises(ValueError, match=message):
        FaultSpec.parse(text)
