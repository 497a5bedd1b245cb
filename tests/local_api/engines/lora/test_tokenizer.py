"""The tokenizer is llama.cpp's to the last token, and the chat template says what it cannot show."""

import json
import random
import unicodedata
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from local_api.engines.lora import LoraEngine
from local_api.engines.lora.llama import library
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import EngineError

from .conftest import BASE

pytestmark = pytest.mark.lora

ODD = ["", "a", " a", "  a\n\n b", "2024-05-06 12:30", "x1y22 333", "don't WE'LL I'm they've", "naïve café ½ ² ① ٣", "日本語 のテキスト",
       "👩‍👩‍👧 🇩🇪!", "\t\ttab\r\n", "a\u00a0b\u2003c", "<|im_start|>user\nhi<|im_end|>", "<|endoftext|> x", "\n\n###\n\n", " END",
       "...!!!???", "\u200bzero", "e\u0301", "    four", "1,000.50 €", "a\u3000 b", "\x85x", "a \u2028b", "\x1c x"]


@pytest.fixture(scope="module")
def llama_encode(engine: LoraEngine) -> Iterator[Callable[[str], list[int]]]:
    """llama.cpp's own tokenizer, by the HTTP port of a server of its own."""
    parameters = library().CommonParams()
    parameters.model.path = str(engine._files(BASE).gguf)
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 256, 1, -1
    server = library().Server(parameters)

    def encode(text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]
    yield encode


@pytest.mark.parametrize("text", ODD)
def test_odd_strings_become_the_tokens_that_llama_makes_of_them(tokenizer: LoraTokenizer, llama_encode: Callable[[str], list[int]], text: str) -> None:
    assert tokenizer.encode(text) == llama_encode(text)


def test_so_do_two_hundred_random_mixtures_of_scripts_digits_and_blanks(tokenizer: LoraTokenizer, llama_encode: Callable[[str], list[int]]) -> None:
    rng = random.Random(0)
    characters = [c for c in map(chr, range(1, 0x3000)) if unicodedata.category(c) not in ("Cs", "Cn")]
    for _ in range(200):
        text = "".join(rng.choice(characters) if rng.random() < 0.5 else rng.choice(" \n\t'sdlt19aZ.,#!") for _ in range(rng.randint(1, 30)))
        assert tokenizer.encode(text) == llama_encode(text), repr(text)


@pytest.mark.parametrize("text", ODD)
def test_decoding_gives_the_text_back(tokenizer: LoraTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", ODD)
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(tokenizer: LoraTokenizer, text: str) -> None:
    assert b"".join(tokenizer.token_bytes(token) for token in tokenizer.encode(text)) == text.encode()


def test_a_conversation_is_rendered_as_transformers_renders_it(engine: LoraEngine, tokenizer: LoraTokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(engine._files(BASE).weights)
    for messages in ([{"role": "user", "content": "Hi\n"}], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{ x }}"}]):
        for ask in (True, False):
            assert tokenizer.render(messages, add_generation_prompt=ask) == theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)


def test_parts_of_text_are_joined(tokenizer: LoraTokenizer) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert "ab<|im_end|>" in tokenizer.render([{"role": "user", "content": parts}])


@pytest.mark.parametrize(("messages", "tools", "said"), [
    ([{"role": "user", "content": [{"type": "image_url"}]}], None, "message 1.*image_url"),
    ([{"role": "assistant", "content": None, "tool_calls": [{}]}], None, "tool_calls"),
    ([{"role": "user", "content": "x"}], [{"type": "function"}], "tools"),
])
def test_what_the_template_cannot_show_is_refused_and_not_left_out(tokenizer: LoraTokenizer, messages: list, tools: list | None, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        tokenizer.render(messages, tools=tools)
