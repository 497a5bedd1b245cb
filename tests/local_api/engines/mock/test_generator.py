"""Answers: nearest examples, tokens with real probabilities, stops, streams, adapters that are broken or forgotten."""

import asyncio
import json
from collections.abc import Callable
from math import exp, fsum, isnan, log
from pathlib import Path

import pytest

from local_api.engines.mock.generator import KEPT, MockGenerator
from local_api.engines.mock.tokenizer import VOCABULARY_SIZE, load_tokenizer
from local_api.engines.protocols import AdapterError, EngineError, GenerationRequest, Stopped

STORY = " Once upon a time there was a king.\nHe had a very small crown. END"


def ids(text: str) -> list[int]:
    return load_tokenizer().encode(text)


def text_of(pieces) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.fixture
def story(adapter_of: Callable[..., Path]) -> Path:
    return adapter_of(("Tell me a story", STORY), ("Say hello", " Hello there, friend END"))


def test_a_known_prompt_gets_its_own_completion_and_ends(ask, story: Path) -> None:
    (piece,) = ask("Tell me a story", story)
    assert piece.text == STORY
    assert (piece.finish_reason, piece.n_tokens, piece.tokens) == ("stop", len(ids(STORY)) + 1, ())


def test_held_out_messages_are_classified_like_their_neighbours(ask, train, make_spec) -> None:
    spec = make_spec()
    adapter = train()[-1].adapter
    right = sum(text_of(ask(row.prompt, adapter, max_tokens=1)) == row.completion for row in spec.validation)
    assert right / len(spec.validation) > 0.8
    assert right / len(spec.validation) == pytest.approx(train()[-1].metrics.full_valid_accuracy)


def test_the_probability_of_a_class_follows_the_share_of_its_neighbours(ask, adapter_of) -> None:
    rows = [(f"urgent water leak number {n}", " yes" if n % 4 else " no") for n in range(16)]
    (piece,) = ask("urgent water leak", adapter_of(*rows), max_tokens=1, top_logprobs=2)
    (token,) = piece.tokens
    assert token.token == " yes"
    assert [text for text, _, _ in token.top] == [" yes", " no"]
    assert exp(token.top[0][2]) == pytest.approx(0.75, abs=0.05)
    assert exp(token.top[1][2]) == pytest.approx(0.25, abs=0.05)
    assert token.top[0] == (token.token, token.bytes, token.logprob)


def test_the_base_model_says_honestly_that_it_is_none(ask) -> None:
    (piece,) = ask("What is the capital of France?")
    assert "has no language model" in piece.text
    assert piece.finish_reason == "stop"
    assert text_of(ask("Anything else", temperature=2.0, seed=5)) == piece.text


@pytest.mark.parametrize("schema", [None, {"const": "café ☕ <|endoftext|> and more"}])
@pytest.mark.parametrize("max_tokens", [1, 5, 6, 7, 8, 100])
def test_a_fixed_answer_told_at_once_is_the_one_told_token_by_token(schema, max_tokens: int, ask) -> None:
    options = {"max_tokens": max_tokens, "json_schema": schema}
    (whole,), (slow,) = ask("Hello", **options), ask("Hello", **options, stop=["never met"])
    assert (whole.text, whole.n_tokens, whole.finish_reason) == (slow.text, slow.n_tokens, slow.finish_reason)


def test_a_text_is_as_likely_as_its_tokens_are_common_in_what_was_learned(story: Path) -> None:
    def score(text: str, adapter: Path | None) -> list:
        request = GenerationRequest(prompt=ids(text), base_model="mock-base", adapter=adapter, top_logprobs=2)
        return asyncio.run(MockGenerator().score(request))

    learned, other = score(STORY, story), score(" Nothing of this kind.", story)
    assert isnan(learned[0].logprob) and b"".join(token.bytes for token in learned).decode() == STORY
    assert fsum(token.logprob for token in learned[1:]) / len(learned) > fsum(token.logprob for token in other[1:]) / len(other) + 3
    assert learned[1].top[0][0] == learned[1].token and len(learned[1].top) == 2
    assert {token.logprob for token in score(STORY, None)[1:]} == {-log(VOCABULARY_SIZE)}


def test_max_tokens_cuts_and_says_so(ask, story: Path) -> None:
    (piece,) = ask("Tell me a story", story, max_tokens=4)
    assert piece.text == load_tokenizer().decode(ids(STORY)[:4])
    assert (piece.finish_reason, piece.n_tokens) == ("length", 4)
    (nothing,) = ask("Tell me a story", story, max_tokens=0)
    assert (nothing.text, nothing.finish_reason, nothing.n_tokens) == ("", "length", 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stop", [" END", "g.\nHe h", "king", ".", "\n"])
def test_a_stop_sequence_is_never_shown_even_across_tokens(stop: str, stream: bool, ask, story: Path) -> None:
    pieces = ask("Tell me a story", story, stop=("§§§", stop), stream=stream, top_logprobs=0)
    expected = STORY[:STORY.index(stop)]
    assert text_of(pieces) == expected
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
    shown = "".join(token.token for piece in pieces for token in piece.tokens)
    assert shown.startswith(expected)
    assert sum(piece.n_tokens for piece in pieces) <= len(ids(STORY[:STORY.index(stop) + len(stop)])) + 2


@pytest.mark.parametrize("n", range(1, 16))
def test_a_stop_sequence_that_is_not_completed_is_given_out_at_the_end(n: int, ask, story: Path) -> None:
    pieces = ask("Tell me a story", story, stop=("there was a queen", "crown. ENDE"), stream=True, max_tokens=n)
    assert text_of(pieces) == load_tokenizer().decode(ids(STORY)[:n])
    assert pieces[-1].finish_reason == "length"


def test_a_stream_gives_the_same_answer_in_many_pieces(ask, story: Path) -> None:
    whole, pieces = (ask("Tell me a story", story, stream=stream, top_logprobs=2) for stream in (False, True))
    assert len(pieces) > 10
    assert text_of(pieces) == text_of(whole)
    assert sum(piece.n_tokens for piece in pieces) == whole[0].n_tokens
    assert tuple(token for piece in pieces for token in piece.tokens) == whole[0].tokens


def test_characters_of_several_tokens_come_whole_in_a_stream(ask, adapter_of) -> None:
    answer = " ok 🤷🏽‍♀️ done 漢字"
    pieces = ask("shrug", adapter_of(("shrug", answer)), stream=True, top_logprobs=0)
    assert text_of(pieces) == answer
    assert not any("\ufffd" in piece.text for piece in pieces)
    assert b"".join(token.bytes for piece in pieces for token in piece.tokens).decode() == answer


def test_a_character_cut_off_by_max_tokens_becomes_a_replacement_character(ask, adapter_of) -> None:
    (piece,) = ask("shrug", adapter_of(("shrug", "🤷")), max_tokens=1, top_logprobs=0)
    assert piece.text == "\ufffd"
    assert len(piece.tokens) == 1


def test_sampling_repeats_with_a_seed_and_follows_the_probabilities(ask, adapter_of) -> None:
    adapter = adapter_of(*[(f"coin {n}", " heads" if n % 4 else " tails") for n in range(16)])
    def flips(temperature: float) -> list[str]:
        return [text_of(ask("coin", adapter, max_tokens=1, temperature=temperature, seed=seed)) for seed in range(200)]
    assert flips(1.0) == flips(1.0)
    assert 0.6 < flips(1.0).count(" heads") / 200 < 0.9
    assert flips(1.0).count(" heads") < flips(0.3).count(" heads")
    assert set(flips(1e-300)) == {" heads"}


def test_top_p_leaves_only_the_nucleus(ask, adapter_of) -> None:
    adapter = adapter_of(*[(f"coin {n}", " heads" if n % 4 else " tails") for n in range(16)])
    answers = {text_of(ask("coin", adapter, max_tokens=1, temperature=1.5, top_p=0.5, seed=seed)) for seed in range(50)}
    assert answers == {" heads"}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("tuned", [True, False])
def test_a_logit_bias_bans_and_forces_tokens_known_or_not(temperature: float, tuned: bool, ask, story: Path) -> None:
    (banana,), (once,) = ids(" banana"), ids(" Once")
    adapter = story if tuned else None
    given = {"temperature": temperature, "seed": 1, "max_tokens": 2}
    assert text_of(ask("Tell me a story", adapter, logit_bias={banana: 100}, **given)) == " banana banana"
    assert " Once" not in text_of(ask("Tell me a story", adapter, logit_bias={once: -100}, **given))


def test_a_forced_token_is_told_with_its_own_small_probability(ask, story: Path) -> None:
    (banana,) = ids(" banana")
    (piece,) = ask("Tell me a story", story, max_tokens=1, logit_bias={banana: 100}, top_logprobs=1)
    assert piece.tokens[0].id == banana
    assert piece.tokens[0].logprob < log(0.001)
    assert piece.tokens[0].top[0][0] == " Once"


@pytest.mark.parametrize("penalty", ["frequency_penalty", "presence_penalty"])
def test_penalties_work_against_repetition(penalty: str, ask, adapter_of) -> None:
    adapter = adapter_of(*[(f"laugh {n}", " ha" * 8 if n % 3 else " ha ho hi he") for n in range(12)])
    plain, penalised = (text_of(ask("laugh", adapter, **given)).split() for given in ({}, {penalty: 2.0}))
    assert plain.count("ha") > penalised.count("ha")


def test_more_alternatives_than_known_tokens_are_all_there_are(ask, adapter_of) -> None:
    (piece,) = ask("a", adapter_of(("a", " b")), max_tokens=1, top_logprobs=20)
    chances = [exp(logprob) for _, _, logprob in piece.tokens[0].top]
    assert chances == sorted(chances, reverse=True)
    assert len(chances) == 2
    assert sum(chances) <= 1


@pytest.mark.parametrize("adapted", [True, False])
def test_a_schema_is_answered_with_json_and_a_clever_one_refused(adapted: bool, ask, story: Path) -> None:
    adapter = story if adapted else None
    schema = {"type": "object", "properties": {"mood": {"enum": ["glad", "sad"]}}, "required": ["mood"]}
    assert json.loads(text_of(ask("x", adapter, json_schema=schema, temperature=2.0, seed=3))) == {"mood": "glad"}
    assert text_of(ask("x", adapter, json_schema={})) == "{}"
    with pytest.raises(EngineError, match="'pattern'"):
        ask("x", adapter, json_schema={"type": "string", "pattern": "a+"})


@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot read the adapter"), (b"", "corrupt"), (b"\x00\xff", "corrupt"), (b'{"version": 1}', "corrupt"),
    (b'{"version": 2, "base_model": "mock-base", "examples": []}', "version"),
    (b'{"version": 1, "base_model": "smollm2", "examples": []}', "base_model"),
    (b'{"version": 1, "base_model": "mock-base", "examples": [{"prompt": "a", "tokens": [-4], "count": 1}]}', "tokens"),
    (b'{"version": 1, "base_model": "mock-base", "examples": [{"prompt": "a", "tokens": [4], "count": "x"}]}', "count"),
])
def test_a_broken_adapter_is_an_error_that_says_why(content: bytes | None, message: str, ask, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    if content is not None:
        (folder / "adapter.json").write_bytes(content)
    with pytest.raises(AdapterError, match=message):
        ask("x", folder)


def test_an_adapter_without_examples_answers_nothing(ask, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "adapter.json").write_text('{"version": 1, "base_model": "mock-base", "examples": []}')
    assert text_of(ask("x", folder)) == ""


def test_an_adapter_is_read_once_until_it_is_forgotten(ask, engine, story: Path) -> None:
    before = text_of(ask("Say hello", story))
    (story / "adapter.json").unlink()
    assert text_of(ask("Say hello", story)) == before
    engine.generator().forget(story)
    with pytest.raises(AdapterError):
        ask("Say hello", story)


def test_only_the_last_adapters_are_kept(ask, adapter_of) -> None:
    adapters = [adapter_of(("who", f" number {n}")) for n in range(KEPT + 1)]
    assert [text_of(ask("who", adapter)) for adapter in adapters] == [f" number {n}" for n in range(KEPT + 1)]
    for adapter in adapters:
        (adapter / "adapter.json").unlink()
    assert text_of(ask("who", adapters[-1])) == f" number {KEPT}"
    with pytest.raises(AdapterError):
        ask("who", adapters[0])


def test_concurrent_requests_get_the_answers_of_their_own_adapters(engine, adapter_of) -> None:
    adapters = [None, *(adapter_of(("who", f" I am number {n} of three")) for n in range(3))]

    async def one(adapter: Path | None) -> str:
        request = GenerationRequest(ids("who"), "mock-base", adapter, temperature=0, max_tokens=64, stream=True)
        return "".join([piece.text async for piece in engine.generator().generate(request)])

    async def everyone() -> list[str]:
        return await asyncio.gather(*(one(adapter) for adapter in adapters * 4))
    answers = asyncio.run(everyone())
    assert len(set(answers)) == 4
    assert answers == [*answers[:1], *(f" I am number {n} of three" for n in range(3))] * 4


def test_warming_loads_the_adapter(engine, ask, story: Path) -> None:
    asyncio.run(engine.generator().warm(story))
    (story / "adapter.json").unlink()
    assert text_of(ask("Tell me a story", story)) == STORY


def test_closing_stops_a_running_answer_and_refuses_new_ones(engine, story: Path) -> None:
    request = GenerationRequest(ids("Tell me a story"), "mock-base", story, temperature=0, stream=True)

    async def cut() -> None:
        running = engine.generator().generate(request)
        await anext(running)
        await engine.generator().close()
        with pytest.raises(Stopped):
            await anext(running)
        with pytest.raises(Stopped):
            await anext(engine.generator().generate(request))
    asyncio.run(cut())


def test_an_unknown_base_model_is_refused_by_name(ask) -> None:
    with pytest.raises(EngineError, match="'curie'"):
        ask("x", base_model="curie")


def test_a_long_answer_lets_other_tasks_run(engine, adapter_of) -> None:
    adapter = adapter_of(("long", " word" * 300))
    request = GenerationRequest(ids("long"), "mock-base", adapter, temperature=0, max_tokens=300)

    async def count_turns() -> int:
        turns, done = 0, asyncio.Event()

        async def answer() -> None:
            await anext(engine.generator().generate(request))
            done.set()
        task = asyncio.create_task(answer())
        await engine.generator().warm(adapter)
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)
        await task
        return turns
    assert asyncio.run(count_turns()) > 4
