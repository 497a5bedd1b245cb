"""Answers of llama.cpp as the protocols want them, for several adapters at once."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_api.engines.lora import LoraEngine
from local_api.engines.lora.generator import LlamaGenerator
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import AdapterError, EngineError, GenerationRequest, Stopped

from .conftest import BASE, pieces, text_of

pytestmark = pytest.mark.lora

Ask = Callable[..., list]
MakeRequest = Callable[..., GenerationRequest]
NO_END = {0: -100, 2: -100}  # the two tokens that could end an answer


def test_the_same_question_has_the_same_answer_streamed_or_not(ask: Ask) -> None:
    [whole], streamed = ask(max_tokens=11, top_logprobs=2), ask(max_tokens=11, top_logprobs=2, stream=True)
    assert whole.text == text_of(streamed) == " Paris.\n\nThe United States has a population of"
    assert [token.id for token in whole.tokens] == [token.id for piece in streamed for token in piece.tokens]
    assert len(streamed) > 6


def test_only_the_last_piece_has_a_finish_reason_and_all_tokens_are_counted(ask: Ask) -> None:
    streamed = ask(max_tokens=7, stream=True)
    assert [piece.finish_reason for piece in streamed] == [None] * (len(streamed) - 1) + ["length"]
    assert sum(piece.n_tokens for piece in streamed) == 7


def test_the_models_own_end_finishes_with_stop(ask: Ask, tokenizer: LoraTokenizer) -> None:
    prompt = tokenizer.render([{"role": "user", "content": "Say hi"}])
    [answer] = ask(prompt, max_tokens=60, top_logprobs=0)
    assert answer.finish_reason == "stop"
    assert (answer.tokens[-1].token, answer.tokens[-1].bytes) == ("<|im_end|>", b"")
    assert answer.n_tokens == len(answer.tokens) == len(tokenizer.encode(answer.text)) + 1
    assert b"".join(token.bytes for token in answer.tokens).decode() == answer.text


@pytest.mark.parametrize("stream", [True, False])
def test_a_stop_sequence_is_never_shown_even_across_tokens(ask: Ask, stream: bool) -> None:
    answer = ask(max_tokens=30, stop=["States has a pop"], stream=stream, top_logprobs=0)
    assert text_of(answer) == " Paris.\n\nThe United "
    assert answer[-1].finish_reason == "stop"
    assert sum(piece.n_tokens for piece in answer) == 10


def test_text_like_the_beginning_of_a_stop_sequence_comes_out_at_the_end(ask: Ask) -> None:
    assert text_of(ask(max_tokens=10, stop=["a population of cats"], stream=True)) == " Paris.\n\nThe United States has a population"


def test_characters_of_several_tokens_come_whole(ask: Ask, tokenizer: LoraTokenizer) -> None:
    party = tokenizer.encode("🎉")
    assert len(party) > 1
    streamed = ask("🎉" * 12, max_tokens=len(party) * 2, logit_bias=dict.fromkeys(party, 50.0), stream=True, top_logprobs=1)
    assert [piece.text for piece in streamed if piece.text] == ["🎉", "🎉"]
    assert sum(piece.n_tokens for piece in streamed) == len(party) * 2
    assert [token.bytes for piece in streamed for token in piece.tokens] == ["🎉".encode()] * 2


def test_logprobs_are_the_models_own_whatever_the_sampling(ask: Ask) -> None:
    [plain] = ask(max_tokens=1, top_logprobs=5)
    for changes in ({"temperature": 1.7, "seed": 1}, {"temperature": 0.5, "top_p": 0.1, "seed": 2}, {"logit_bias": {7042: 3.0}}, {"presence_penalty": 1.0}):
        [other] = ask(max_tokens=1, top_logprobs=5, **changes)
        assert [text for text, _, _ in other.tokens[0].top] == [text for text, _, _ in plain.tokens[0].top]
        assert [logprob for _, _, logprob in other.tokens[0].top] == pytest.approx([logprob for _, _, logprob in plain.tokens[0].top], abs=0.02)


def test_at_most_twenty_alternatives_are_told_best_first(ask: Ask) -> None:
    [answer] = ask(max_tokens=1, top_logprobs=20)
    logprobs = [logprob for _, _, logprob in answer.tokens[0].top]
    assert len(logprobs) == 20
    assert logprobs == sorted(logprobs, reverse=True)
    with pytest.raises(EngineError, match="at most 20"):
        ask(max_tokens=1, top_logprobs=21)


def test_a_seed_repeats_a_draw_and_another_seed_does_not(ask: Ask) -> None:
    draws = [text_of(ask(max_tokens=12, temperature=1.5, seed=seed)) for seed in (3, 3, 4, 5)]
    assert draws[0] == draws[1]
    assert len(set(draws)) > 1


def test_all_of_the_vocabulary_can_be_drawn_when_nothing_cuts_it(ask: Ask) -> None:
    firsts = {text_of(ask("Once upon a", max_tokens=1, temperature=2.0, seed=seed)) for seed in range(12)}
    assert len(firsts) > 9  # with llama.cpp's own min_p of 0.05 there would be one or two


def test_a_narrow_top_p_leaves_the_likeliest_token_alone(ask: Ask) -> None:
    assert {text_of(ask(max_tokens=1, temperature=1.0, top_p=0.1, seed=seed)) for seed in range(5)} == {" Paris"}


def test_a_bias_of_minus_a_hundred_bans_a_token_and_one_of_a_hundred_forces_it(ask: Ask, tokenizer: LoraTokenizer) -> None:
    [paris], [rome] = tokenizer.encode(" Paris"), tokenizer.encode(" Rome")
    assert text_of(ask(max_tokens=1, logit_bias={paris: -100.0})) != " Paris"
    assert text_of(ask(max_tokens=1, logit_bias={rome: 100.0})) == " Rome"
    with pytest.raises(EngineError, match="token 60000"):
        ask(max_tokens=1, logit_bias={60000: 1.0})


def test_penalties_count_the_answer_and_not_the_prompt(ask: Ask) -> None:
    counting = "one two three one two three one two three one two"
    plain = text_of(ask(counting, max_tokens=3))
    assert plain == " three one two"
    for penalty in ("frequency_penalty", "presence_penalty"):
        assert text_of(ask(counting, max_tokens=3, **{penalty: 2.0})) == plain  # nothing of the answer comes twice in it
        assert text_of(ask(counting, max_tokens=6, **{penalty: 2.0})) != text_of(ask(counting, max_tokens=6))


def test_a_penalty_too_small_to_matter_changes_nothing(ask: Ask, tokenizer: LoraTokenizer) -> None:
    prompt = tokenizer.render([{"role": "user", "content": "Say hi"}])
    [plain], [penalised] = ask(prompt, max_tokens=60, top_logprobs=1), ask(prompt, max_tokens=60, top_logprobs=1, frequency_penalty=1e-6)
    assert (plain.text, plain.n_tokens, plain.finish_reason) == (penalised.text, penalised.n_tokens, penalised.finish_reason)
    assert text_of(ask(max_tokens=30, stop=["States"], frequency_penalty=1e-6)) == " Paris.\n\nThe United "


def test_a_json_schema_is_followed(ask: Ask) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}
    [answer] = ask("The capital of France as JSON: ", max_tokens=40, json_schema=schema)
    assert answer.text.replace(" ", "") == '{"city":"Paris"}'
    assert text_of(ask("A list: ", max_tokens=2, json_schema={})).lstrip().startswith("{")


def test_a_schema_that_llama_would_silently_ignore_is_refused(ask: Ask) -> None:
    with pytest.raises(EngineError, match="cannot follow"):
        ask(max_tokens=5, json_schema={"type": "nonsense"})


def test_an_empty_prompt_begins_a_text(ask: Ask) -> None:
    assert text_of(ask("", max_tokens=5))


def test_a_slot_holds_the_tokens_that_are_promised_and_no_more(engine: LoraEngine, make_request: MakeRequest) -> None:
    async def scenario() -> list[int]:
        generator = LlamaGenerator(engine._files(BASE), engine.tokenizer(BASE), slots=2, context=256)
        full = [make_request([260] * (256 - n), max_tokens=n, logit_bias=NO_END) for n in (8, 1)]
        counts = [sum(piece.n_tokens for piece in await pieces(generator, request)) for request in full]
        with pytest.raises(EngineError, match="249 tokens and max_tokens 8"):
            await pieces(generator, make_request([260] * 249, max_tokens=8))
        await generator.close()
        return counts
    assert asyncio.run(scenario()) == [8, 1]


def test_no_tokens_wanted_means_none(ask: Ask) -> None:
    [answer] = ask(max_tokens=0)
    assert (answer.text, answer.n_tokens, answer.finish_reason) == ("", 0, "length")


def test_adapters_and_the_base_model_answer_together_without_mixing(generator: LlamaGenerator, runner: asyncio.Runner, make_request: MakeRequest, adapters: dict[str, Path]) -> None:
    """The same prompts for all of them: a prompt that one has read must not be reused for another."""
    prompts = ["the kettle ->", "a parcel ->", "her robot ->", "the kettle ->"]

    async def all_at_once() -> list[tuple[str | None, str]]:
        names = [name for _ in prompts for name in ("yes", "no", None)]
        asked = [make_request(prompt, adapter=adapters.get(name or ""), max_tokens=1) for prompt in prompts for name in ("yes", "no", None)]
        answers = await asyncio.gather(*(pieces(generator, request) for request in asked))
        return [(name, text_of(answer)) for name, answer in zip(names, answers, strict=True)]
    for _ in range(2):
        for name, text in runner.run(all_at_once()):
            assert (text == " yes", text == " no") == (name == "yes", name == "no"), (name, text)


def test_a_new_adapter_is_loaded_while_a_request_runs_which_ends_as_it_began(engine: LoraEngine, make_request: MakeRequest, adapters: dict[str, Path]) -> None:
    async def scenario() -> tuple[str, str]:
        generator = engine.generator()
        await generator.warm()
        long = asyncio.create_task(pieces(generator, make_request(max_tokens=120, logit_bias=NO_END, stream=True)))
        await asyncio.sleep(0.1)
        short = await pieces(generator, make_request("a spoon ->", adapter=adapters["yes"], max_tokens=1))
        answer = await long
        await generator.close()
        return text_of(short), text_of(answer)
    short, long = asyncio.run(scenario())
    assert short == " yes"
    assert long.startswith(" Paris.")


def test_closing_the_iterator_stops_the_answer_and_frees_its_slot(engine: LoraEngine, make_request: MakeRequest) -> None:
    async def scenario() -> float:
        generator = LlamaGenerator(engine._files(BASE), engine.tokenizer(BASE), slots=1)
        for _ in range(3):  # with one slot, each would wait for the one before it
            answer = generator.generate(make_request(max_tokens=1900, logit_bias=NO_END, stream=True))
            await anext(answer)
            await answer.aclose()
        await pieces(generator, make_request(max_tokens=1))
        start = time.monotonic()
        await generator.close()
        return time.monotonic() - start
    assert asyncio.run(scenario()) < 5  # three answers of 1,900 tokens would take a minute


def test_closing_the_generator_ends_running_answers_with_stopped(engine: LoraEngine, make_request: MakeRequest) -> None:
    async def scenario() -> None:
        generator = engine.generator()
        await generator.warm()
        running = asyncio.create_task(pieces(generator, make_request(max_tokens=1900, logit_bias=NO_END)))
        await asyncio.sleep(0.2)
        await generator.close()
        with pytest.raises(Stopped):
            await running
        with pytest.raises(Stopped):
            await pieces(generator, make_request())
    asyncio.run(scenario())


def damaged(adapter: Path, target: Path, damage: str) -> Path:
    """A copy of an adapter with something wrong."""
    shutil.copytree(adapter, target)
    path = target / "adapter.gguf"
    raw = path.read_bytes()
    changed = {"cut short": raw[:len(raw) // 2], "empty": b"", "text": b"not a GGUF at all" * 100, "header alone": raw[:200],
               "not finite": raw[:-400] + b"\xff" * 400, "torn header": raw[:24] + b"\xff" * 64 + raw[88:]}[damage]
    path.write_bytes(changed)
    return target


@pytest.mark.parametrize("damage", ["cut short", "empty", "text", "header alone", "not finite", "torn header"])
def test_a_damaged_adapter_is_an_error_and_the_others_go_on(ask: Ask, adapters: dict[str, Path], tmp_path: Path, damage: str) -> None:
    with pytest.raises(AdapterError, match=r"adapter\.gguf"):
        ask(adapter=damaged(adapters["yes"], tmp_path / "broken", damage), max_tokens=1)
    assert text_of(ask("a spoon ->", adapter=adapters["yes"], max_tokens=1)) == " yes"


def test_an_adapter_for_another_base_model_is_an_error(ask: Ask, tmp_path: Path) -> None:
    import gguf
    import numpy

    writer = gguf.GGUFWriter(tmp_path / "adapter.gguf", "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    for side, shape in (("lora_a", (4, 960)), ("lora_b", (960, 4))):
        writer.add_tensor(f"blk.0.attn_q.weight.{side}", numpy.zeros(shape, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(AdapterError, match="trained for another one"):
        ask(adapter=tmp_path, max_tokens=1)


def test_an_adapter_that_is_not_there_is_an_error(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="cannot be read"):
        ask(adapter=tmp_path / "nowhere", max_tokens=1)


def test_a_forgotten_adapter_can_be_asked_for_again(ask: Ask, generator: LlamaGenerator, adapters: dict[str, Path]) -> None:
    ask("a spoon ->", adapter=adapters["yes"], max_tokens=1)
    generator.forget(adapters["yes"])
    assert text_of(ask("a spoon ->", adapter=adapters["yes"], max_tokens=1)) == " yes"


def test_forgetting_what_is_gone_already_is_no_error(generator: LlamaGenerator, tmp_path: Path) -> None:
    generator.forget(tmp_path / "nowhere")


def test_nothing_is_written_to_the_terminal(ask: Ask, capfd: Any) -> None:
    ask(max_tokens=2, json_schema={})
    assert capfd.readouterr() == ("", "")
