"""The mock engine's tokenizer: o200k_base ids, odd strings, ChatML."""

import json
import subprocess
import sys

import pytest

from local_api.engines.mock.tokenizer import END_OF_TURN, SLICE, load_tokenizer
from local_api.engines.protocols import Chat, EngineError, Preference, PromptCompletion

ODD = ["", " ", "hello world", "It's 12345 o'clock, DON'T panic!!\r\n\r\n", "naïve café 漢字 🤷🏽‍♀️", "\x00\t\u2028 x",
       "<|im_start|>user\nhi<|im_end|>\n", "a" * 500, "def f(x):\n    return x  # <- \n\n\n"]


def test_ids_are_those_of_o200k_base() -> None:
    """The reference is bpe-openai's own encoder. It runs outside: its import warns, and warnings are errors here."""
    script = "import bpe_openai, json, sys; e = bpe_openai.get_encoding('o200k_base'); " \
             "print([e.encode_ordinary(t) for t in json.load(sys.stdin)])"
    texts = [text for text in ODD if "<|im_" not in text]
    done = subprocess.run([sys.executable, "-c", script], input=json.dumps(texts), capture_output=True, text=True, check=True)
    assert done.stdout == f"{[load_tokenizer().encode(text) for text in texts]}\n"
    assert load_tokenizer().encode("hello world") == [24912, 2375]


@pytest.mark.parametrize("text", ODD)
def test_decoding_gives_the_text_back(text: str) -> None:
    tokenizer = load_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_part_of_a_character_is_shown_as_a_replacement_character() -> None:
    tokenizer = load_tokenizer()
    ids = tokenizer.encode("🤷")
    assert len(ids) > 1
    assert tokenizer.decode(ids[:1]) == "\ufffd"


def test_a_lone_surrogate_does_not_break_encoding() -> None:
    assert load_tokenizer().decode(load_tokenizer().encode("a\ud800b")) == "a\ufffdb"


@pytest.mark.parametrize("token", [-1, 300_000, 200_017, 2**70])
def test_an_unknown_id_is_named(token: int) -> None:
    with pytest.raises(EngineError, match=f"token id {token} is not in the vocabulary"):
        load_tokenizer().decode([token])


def test_a_million_blanks_are_encoded() -> None:
    text = " " * (10 * SLICE + 1)
    assert load_tokenizer().decode(load_tokenizer().encode(text)) == text


def test_chatml_marks_each_turn_with_special_tokens() -> None:
    tokenizer = load_tokenizer()
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi", "name": "bo"},
             {"role": "assistant", "content": "Hello", "name": "ada"}]
    text = tokenizer.render(turns)
    assert text == ("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user name=bo\nHi<|im_end|>\n"
                    "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.encode(text).count(END_OF_TURN) == 3


def test_parts_of_content_tools_and_tool_calls_are_rendered() -> None:
    parts = [{"type": "text", "text": "What "}, {"type": "text", "text": "time?"}]
    call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    text = load_tokenizer().render(turns, tools=[{"name": "clock"}], add_generation_prompt=False)
    assert text.startswith('<|im_start|>system\nTools: [{"name": "clock"}]<|im_end|>\n')
    assert "What time?" in text
    assert '<tool_call>{"function": {"arguments": "{}", "name": "clock"}' in text


def test_training_tokens_count_prompt_and_completion_and_both_answers_of_a_preference() -> None:
    tokenizer = load_tokenizer()
    asked, yes, no = ({"role": role, "content": text} for role, text in (("user", "Tea?"), ("assistant", "Yes please"),
                                                                        ("assistant", "No")))
    chats = [Chat([asked, answer]) for answer in (yes, no)]
    assert tokenizer.n_training_tokens(PromptCompletion("hello world", " hello")) == 3
    assert tokenizer.n_training_tokens(Preference([asked], [yes], [no])) == sum(map(tokenizer.n_training_tokens, chats))
