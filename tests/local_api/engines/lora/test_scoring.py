"""How likely a given text is: as likely as when the model writes it, and as transformers finds it."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from local_api.engines.lora import LoraEngine
from local_api.engines.lora.generator import LlamaGenerator
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import EngineError, GenerationRequest, TokenLogprob

pytestmark = pytest.mark.lora

TEXTS = {"plain": "The parcel cost £5 and was late.", "characters of several tokens": "Thanks 😀! 日本語",
         "a conversation": "<|im_start|>user\nHello there<|im_end|>\n<|im_start|>assistant\nHi!<|im_end|>\n"}


@pytest.fixture
def score(generator: LlamaGenerator, runner: asyncio.Runner, make_request: Callable[..., GenerationRequest]):
    def score(text: str, adapter: Path | None = None, top: int | None = 0) -> list[TokenLogprob]:
        return runner.run(generator.score(make_request(text, adapter=adapter, top_logprobs=top)))
    return score


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_token_has_the_log_probability_that_transformers_finds(text: str, score, engine: LoraEngine,
                                                                     tokenizer: LoraTokenizer) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    ids = tokenizer.encode(text)
    model = AutoModelForCausalLM.from_pretrained(engine._found.weights, dtype=torch.float32)
    with torch.inference_mode():
        expected = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)[range(len(ids) - 1), ids[1:]].tolist()
    scored = score(text)
    assert [token.id for token in scored] == ids
    assert math.isnan(scored[0].logprob) and b"".join(token.bytes for token in scored).decode() == text
    found = [token.logprob for token in scored[1:]]
    assert found == pytest.approx(expected, abs=1.0)  # llama.cpp multiplies with activations of 8 bits
    assert sum(found) / len(found) == pytest.approx(sum(expected) / len(expected), abs=0.2)


def test_a_text_that_the_model_wrote_is_as_likely_as_it_was_then(score, ask) -> None:
    [answer] = ask(max_tokens=10, top_logprobs=3)
    ids = [token.id for token in answer.tokens]
    scored = score("The capital of France is" + answer.text, top=3)[-len(ids):]
    assert [token.id for token in scored] == ids
    assert [token.logprob for token in scored] == pytest.approx([token.logprob for token in answer.tokens], abs=0.02)
    assert [[text for text, _, _ in token.top] for token in scored] == [[text for text, _, _ in token.top] for token in answer.tokens]


def test_an_adapter_has_its_own_opinion(score, adapters: dict[str, Path]) -> None:
    def likelier(adapter: Path | None) -> str:
        return max(("yes", "no"), key=lambda answer: score(f"the lamp -> {answer}", adapter)[-1].logprob)
    assert {name: likelier(adapter) for name, adapter in adapters.items()} == {"yes": "yes", "no": "no"}


def test_a_single_token_and_a_prompt_that_is_too_long(score, generator: LlamaGenerator, runner: asyncio.Runner, make_request) -> None:
    assert [math.isnan(token.logprob) for token in score("Hello")] == [True]
    with pytest.raises(EngineError, match="more than this model reads"):
        score("word " * 3000)
