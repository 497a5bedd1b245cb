"""What completions and chat completions have in common, on a scripted generator."""

import asyncio
import math
import threading

import httpx
import pytest

from local_api import answers
from local_api.app import create_app
from local_api.engines.protocols import AdapterError, BaseModel, EngineError, GenerationRequest, Piece, TokenLogprob
from local_api.errors import InvalidRequest, ModelNotFound


def request(*prompt, **overrides):
    return GenerationRequest(**{"prompt": prompt, "base_model": "tiny", **overrides})


def says(*texts, reason="stop"):
    """Pieces of an answer, a token each, the last with its reason."""
    return [Piece(text, n_tokens=1, finish_reason=reason if text is texts[-1] else None) for text in texts]


async def forever():
    await asyncio.Event().wait()


def test_a_base_model_answers_without_an_adapter(here):
    target = answers.find_model(here, "default", "tiny")
    assert target.adapter is None and target.base.id == "tiny"


def test_a_fine_tuned_model_answers_with_its_own(here, make_model):
    name = make_model("ft:tiny:local::x", adapter="a7")
    target = answers.find_model(here, "default", name)
    assert (target.name, target.base.id, target.adapter) == (name, "tiny", here.store.contents.adapter("a7"))


def test_models_of_others_of_nobody_and_of_other_engines_do_not_answer(here, make_model):
    theirs, foreign = make_model("ft:theirs", project="other"), make_model("ft:foreign", base_model="huge")
    for name, message in ((theirs, "does not exist"), ("nobody", "does not exist"), (foreign, "was trained on huge, which this server")):
        with pytest.raises(ModelNotFound, match=message):
            answers.find_model(here, "default", name)
    with pytest.raises(InvalidRequest, match="makes embeddings") as refusal:
        answers.find_model(here, "default", "tiny-embedder")
    assert refusal.value.param == "model"


def test_sampling_passes_on_what_was_given_and_nothing_else():
    assert answers.sampling({}) == {"stop": (), "logit_bias": {}, "stream": False}
    given = {"temperature": 0, "top_p": 1, "presence_penalty": -2, "frequency_penalty": 2.0, "seed": -5}
    assert answers.sampling({**given, "stop": "\n", "stream": True, "logit_bias": {"7": -100}}) == {
        **given, "stop": ("\n",), "logit_bias": {7: -100}, "stream": True}
    assert answers.sampling({"stop": ["a", "b", "c", "d"]})["stop"] == ("a", "b", "c", "d")


@pytest.mark.parametrize(("body", "param"), [
    ({"temperature": 2.01}, "temperature"), ({"temperature": math.nan}, "temperature"), ({"top_p": 1.1}, "top_p"),
    ({"presence_penalty": -2.1}, "presence_penalty"), ({"frequency_penalty": 3}, "frequency_penalty"), ({"n": 0}, "n"),
    ({"n": 129}, "n"), ({"n": 10**400}, "n"), ({"best_of": 21}, "best_of"), ({"seed": 2**63}, "seed"), ({"stop": ["a", ""]}, "stop"),
    ({"stop": ""}, "stop"), ({"stop": list("abcde")}, "stop"), ({"stream_options": {}}, "stream_options"),
    ({"logit_bias": {"a": 1}}, "logit_bias"), ({"logit_bias": {"-1": 1}}, "logit_bias"), ({"logit_bias": {"\u0663": 1}}, "logit_bias"),
    ({"logit_bias": {"\u00b2": 1}}, "logit_bias"), ({"logit_bias": {"1" * 5000: 1}}, "logit_bias"),
    ({"logit_bias": {"3": 100.5}}, "logit_bias.3"), ({"logit_bias": {"3": math.nan}}, "logit_bias.3")])
def test_sampling_refuses_by_the_name_of_the_field(body, param):
    with pytest.raises(InvalidRequest) as refusal:
        answers.sampling(body)
    assert refusal.value.param == param


TARGET = answers.Target("tiny", BaseModel("tiny", "", context_length=16, max_training_tokens=8), None)


@pytest.mark.parametrize(("n_prompt", "max_tokens", "room"), [(1, None, 5), (15, None, 1), (13, None, 3), (10, 6, 6), (15, 0, 0), (0, 16, 16)])
def test_prompt_and_answer_share_the_context(n_prompt, max_tokens, room):
    assert answers.room_for(TARGET, [1] * n_prompt, max_tokens, default=5) == room


@pytest.mark.parametrize(("n_prompt", "max_tokens", "param", "counts"), [
    (10, 7, "max_tokens", "you requested 17 tokens (10 in your prompt; 7 for the completion)"),
    (16, None, "prompt", "you requested 17 tokens (16 in your prompt; 1 for the completion)"),
    (30, None, "prompt", "you requested 31 tokens (30 in your prompt; 1 for the completion)"),
    (16, 0, "prompt", "you requested 16 tokens (16 in your prompt; 0 for the completion)")])
def test_what_does_not_fit_is_refused_with_the_counts(n_prompt, max_tokens, param, counts):
    with pytest.raises(InvalidRequest) as refusal:
        answers.room_for(TARGET, [1] * n_prompt, max_tokens, default=5)
    assert counts in refusal.value.message and refusal.value.param == param and refusal.value.code == "context_length_exceeded"


def test_choices_get_seeds_of_their_own_only_where_one_was_given():
    assert [variant.seed for variant in answers.variants(request(1, seed=2**31 - 1), 3)] == [2**31 - 1, 0, 1]
    assert answers.variants(request(1), 2) == [request(1)] * 2


def test_an_answer_is_the_sum_of_its_pieces(engine):
    token = TokenLogprob(5, "a", b"a", -0.5)
    engine.answers.script[1,] = [Piece("a", (token,), 1), Piece("", (), 2, "stop")]
    answer = asyncio.run(answers.answer(engine.answers, request(1)))
    assert (answer.text, answer.tokens, answer.n_tokens, answer.finish_reason) == ("a", [token], 3, "stop")
    assert answer.mean_logprob == -0.5


def test_no_tokens_are_answered_without_the_engine(engine):
    answer = asyncio.run(answers.answer(engine.answers, request(1, max_tokens=0)))
    assert (answer.text, answer.n_tokens, answer.finish_reason) == ("", 0, "length") and engine.answers.asked == []


def test_answers_come_in_the_order_of_their_requests(engine):
    engine.answers.script = {(1,): [lambda: asyncio.sleep(0.01), *says("slow")], (2,): says("fast")}
    found = asyncio.run(answers.answer_all(engine.answers, [request(1), request(2), request(1)]))
    assert [answer.text for answer in found] == ["slow", "fast", "slow"]


@pytest.mark.parametrize("error", [EngineError("no"), AdapterError("broken")])
def test_when_one_answer_fails_that_error_is_raised_and_the_others_are_given_up(engine, error):
    engine.answers.script = {(1,): [forever], (2,): [error]}
    with pytest.raises(type(error)) as raised:
        asyncio.run(answers.answer_all(engine.answers, [request(1), request(2)]))
    assert raised.value is error and sorted(engine.answers.closed) == [(1,), (2,)]


def collect(generator, requests):
    async def run():
        return [(index, piece.text, piece.finish_reason) async for index, piece in answers.pieces_of_all(generator, requests)]
    return asyncio.run(run())


def test_pieces_carry_the_number_of_their_request(engine):
    engine.answers.script = {(1,): [lambda: asyncio.sleep(0.01), *says("a", "b")], (2,): says("c", "d", reason="length")}
    found = collect(engine.answers, [request(1), request(2), request(3, max_tokens=0)])
    for index, pieces in enumerate([[("a", None), ("b", "stop")], [("c", None), ("d", "length")], [("", "length")]]):
        assert [(text, reason) for number, text, reason in found if number == index] == pieces


def test_a_failing_request_ends_the_stream_and_the_others(engine):
    engine.answers.script = {(1,): [*says("a", "b"), forever], (2,): [lambda: asyncio.sleep(0.01), EngineError("no")]}
    with pytest.raises(EngineError, match="no"):
        collect(engine.answers, [request(1), request(2)])
    assert sorted(engine.answers.closed) == [(1,), (2,)]


def test_closing_the_stream_frees_every_slot(engine):
    engine.answers.script = {(1,): [*says("a", "b"), forever], (2,): [forever]}

    async def leave_early():
        pieces = answers.pieces_of_all(engine.answers, [request(1), request(2)])
        await anext(pieces)
        await pieces.aclose()
        return sorted(engine.answers.closed)
    assert asyncio.run(leave_early()) == [(1,), (2,)]


def test_usage_adds_up():
    assert answers.usage(3, 4) == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


@pytest.mark.parametrize(("length", "elsewhere"), [(answers.LONG_BODY, False), (answers.LONG_BODY + 1, True)])
def test_a_long_body_is_read_in_a_thread_so_that_nobody_waits_for_it(length, elsewhere):
    reader = asyncio.run(answers.order_from(b" " * length, lambda raw: threading.current_thread()))
    assert (reader is not threading.main_thread()) == elsewhere


@pytest.mark.parametrize(("path", "rest"), [
    ("/v1/completions", lambda text: {"prompt": text}), ("/v1/engines/tiny/completions", lambda text: {"prompt": text}),
    ("/v1/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}]}),
    ("/v1/responses", lambda text: {"input": text}), ("/v1/responses/input_tokens", lambda text: {"input": text})])
def test_long_prompts_are_tokenised_in_a_thread(here, engine, monkeypatch, path, rest):
    threads = []
    monkeypatch.setattr(engine.words, "encode", lambda text: threads.append(threading.current_thread()) or [1] * 100)
    monkeypatch.setattr(engine.words, "render", lambda messages: messages[0]["content"], raising=False)

    async def ask():
        transport = httpx.ASGITransport(create_app(here))
        async with httpx.AsyncClient(transport=transport, base_url="http://t", headers={"authorization": "Bearer sk-test"}) as client:
            return [await client.post(path, json={"model": "tiny", **rest("long " * n)}) for n in (1, 10_000)]

    answers_given = asyncio.run(ask())
    assert {answer.status_code for answer in answers_given} <= {400, 200}, "100 tokens are too many for this model, where it answers"
    short, long = threads
    assert short is threading.main_thread() and long is not short


class Leaving:
    """A request whose client leaves when told to."""

    def __init__(self):
        self.left = asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}


def test_work_is_given_up_once_its_client_has_left_and_ends_otherwise():
    async def run():
        leaving, ended = Leaving(), []

        async def work(seconds):
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                ended.append("given up")
                raise
            return [answers.Answer("done")]

        at_once, later = await answers.unless_left(leaving, work(0)), await answers.unless_left(leaving, work(0.01))
        asyncio.get_running_loop().call_later(0.01, leaving.left.set)
        return at_once[0].text, later[0].text, await answers.unless_left(leaving, work(60)), ended, len(asyncio.all_tasks())

    assert asyncio.run(run()) == ("done", "done", None, ["given up"], 1)


def test_work_that_is_cancelled_from_outside_is_not_taken_for_a_client_that_left():
    async def run():
        async with asyncio.timeout(0.01):
            await answers.unless_left(Leaving(), asyncio.sleep(60))

    with pytest.raises(TimeoutError):
        asyncio.run(run())
