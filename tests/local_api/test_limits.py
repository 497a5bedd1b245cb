"""Requests and tokens a minute: buckets, what a request takes from them, and what an answer tells."""

import asyncio
from types import SimpleNamespace

import pytest

from local_api.engines.protocols import GenerationRequest, Piece
from local_api.errors import RateLimited
from local_api.limits import METER, Limiter, Limits, Meter, MeteredEmbedder, MeteredGenerator, duration


@pytest.fixture
def limiter(clock):
    """A limiter of these limits, for every project."""
    def make(**limits):
        return Limiter(lambda project: Limits(**limits), clock)
    return make


def refused(limiter, project="ann", **options):
    with pytest.raises(RateLimited) as refusal:
        limiter.admit(project, **{"generates": True, **options})
    return refusal.value


def test_a_minute_holds_its_requests_and_fills_up_again_evenly(limiter, clock):
    three = limiter(requests_per_minute=3)
    for left in (2, 1, 0):
        assert three.admit("ann", generates=False).headers()["x-ratelimit-remaining-requests"] == str(left)
    error = refused(three)
    assert (error.status, error.type, error.code) == (429, "requests", "rate_limit_exceeded")
    assert error.headers["retry-after"] == "20" and error.headers["retry-after-ms"] == "20000" and "in 20s" in error.message
    clock.now += 19
    assert refused(three).headers["retry-after-ms"] == "1000"
    clock.now += 1
    three.admit("ann", generates=True)
    clock.now += 3600
    assert three.admit("ann", generates=True).headers()["x-ratelimit-remaining-requests"] == "2", "no more than a minute's worth"


def test_one_project_takes_nothing_from_another(limiter):
    one = limiter(requests_per_minute=1)
    one.admit("ann", generates=True)
    one.admit("bob", generates=True)
    refused(one, "ann")


def test_tokens_are_taken_when_they_are_known_and_a_debt_is_waited_for(limiter, clock):
    hundred = limiter(tokens_per_minute=100)
    meter = hundred.admit("ann", generates=True)
    meter.tokens(150)
    assert meter.headers() == {"x-ratelimit-limit-tokens": "100", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m30s"}
    error = refused(hundred)
    assert error.type == "tokens" and error.headers["retry-after"] == "31" and error.headers["x-ratelimit-limit-tokens"] == "100"
    hundred.admit("ann", generates=False)  # looking at a job costs no tokens
    clock.now += 31
    hundred.admit("ann", generates=True)


def test_a_refused_request_takes_nothing(limiter, clock):
    both = limiter(requests_per_minute=2, tokens_per_minute=10)
    both.admit("ann", generates=True).tokens(10)
    for _ in range(3):
        assert refused(both).headers["x-ratelimit-remaining-requests"] == "1"


def test_a_limit_that_changes_counts_from_the_next_request(clock):
    limits = {"ann": Limits(requests_per_minute=60)}
    changing = Limiter(limits.__getitem__, clock)
    changing.admit("ann", generates=True)
    limits["ann"] = Limits(requests_per_minute=1)
    assert changing.admit("ann", generates=True).headers()["x-ratelimit-limit-requests"] == "1"
    refused(changing)
    limits["ann"] = Limits()
    assert changing.admit("ann", generates=True).headers() == {}


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing(limiter, clock):
    one = limiter(requests_per_minute=60)
    one.admit("ann", generates=True)
    clock.now -= 1000
    assert one.admit("ann", generates=True).headers()["x-ratelimit-remaining-requests"] == "58"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0ms"), (0.12, "120ms"), (1.5, "1.5s"), (20, "20s"), (360, "6m0s"), (61.2, "1m2s")])
def test_durations_are_written_as_the_hosted_service_writes_them(seconds, text):
    assert duration(seconds) == text


def test_what_a_request_makes_is_counted_for_its_own_project_whatever_runs_beside_it(engine):
    prompts = {"ann": [1, 1], "bob": [2, 2, 2]}
    engine.answers.script = {tuple(prompt): [Piece("a", n_tokens=len(prompt)), lambda: asyncio.sleep(0), Piece("b", n_tokens=1, finish_reason="stop")]
                             for prompt in prompts.values()}
    generator = MeteredGenerator(engine.answers)

    async def ask(project):
        METER.set(meter := Meter({}))
        request = GenerationRequest(prompt=prompts[project], base_model="tiny", adapter=None, max_tokens=5)

        async def one():
            return [piece async for piece in generator.generate(request)]
        await asyncio.gather(one(), one())  # two answers to one prompt, in tasks of their own
        return meter.used

    async def run():
        return await asyncio.gather(ask("ann"), ask("bob"))
    assert asyncio.run(run()) == [2 + 2 * 3, 3 + 2 * 4], "a prompt once, each answer's tokens"


def test_embeddings_are_counted_and_the_embedder_stays_what_it_was():
    async def embed(texts):
        return [[1.0]] * len(texts), 7
    embedder = MeteredEmbedder(SimpleNamespace(id="e", dimensions=1, embed=embed))

    async def run():
        METER.set(meter := Meter({}))
        return await embedder.embed(["a"]), meter.used
    assert asyncio.run(run()) == (([[1.0]], 7), 7) and embedder.id == "e"
