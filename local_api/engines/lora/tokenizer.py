"""The base model's own tokenizer and chat template: the same ids in training and in serving.

It uses the `tokenizers` library and a sandboxed Jinja, no PyTorch, so the server may import it. It does not know what
is learned of an example; `examples` does.

    tokenizer = load_tokenizer(files.weights)
    tokenizer.encode("Where is my parcel?\\n\\n###\\n\\n")
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as FastTokenizer

from local_api.engines.lora.examples import encode
from local_api.engines.protocols import EngineError, Example, Message


def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes each byte as one printable character: itself where it prints, else the next free one from 256."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTES = _byte_of_character()


class LoraTokenizer:
    """`Tokenizer` of the protocols, and the few ids that training and serving must agree on."""

    def __init__(self, fast: FastTokenizer, chat_template: str | None, special: Mapping[str, str]) -> None:
        """`special`: bos_token and eos_token, as in transformers' tokenizer_config.json."""
        self.fast = fast
        self.special = special
        self._chat_template = chat_template
        self.end_id = fast.token_to_id(special["eos_token"])

    @cached_property
    def start_id(self) -> int:
        """What stands before the first token of a text that has no prompt: the mark between documents where there is one."""
        for name in ("<|endoftext|>", self.special.get("bos_token", "")):
            found = self.fast.token_to_id(name)
            if found is not None:
                return found
        return self.end_id

    @cached_property
    def vocabulary_size(self) -> int:
        return self.fast.get_vocab_size()

    def token_bytes(self, token: int) -> bytes:
        """What a token adds to the text: perhaps a part of a character only. Nothing for ids that the tokenizer lacks."""
        written = self.fast.id_to_token(token) or ""
        if self.is_special(token):
            return written.encode()
        return bytes(_BYTES[character] for character in written)

    def is_special(self, token: int) -> bool:
        """Whether it is a mark of the model's own, such as the end of an answer, and no part of ordinary text."""
        return token in self._added

    def encode(self, text: str) -> list[int]:
        return self.fast.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """EngineError for a number that is no token: llama.cpp must not meet it, it may end the whole process."""
        for token in ids:
            if not 0 <= token < self.vocabulary_size:
                raise EngineError(f"token id {token} is not in the vocabulary: ids are whole numbers from 0 to "
                                  f"{self.vocabulary_size - 1}")
        return self.fast.decode(list(ids), skip_special_tokens=False)

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> str:
        """Raises EngineError for what this model's template cannot show (tools, say), rather than leave it out."""
        if self._chat_template is None:
            raise EngineError("this base model has no chat template: use prompt and completion")
        plain = [self._plain(message, number) for number, message in enumerate(messages, 1)]
        if tools and "tools" not in self._chat_template:
            raise EngineError("this base model's chat template has no place for tools: leave `tools` out")
        values = {"messages": plain, "tools": list(tools) if tools else None, **self.special}
        try:
            return self._compiled.render(add_generation_prompt=add_generation_prompt, **values)
        except jinja2.TemplateError as error:
            raise EngineError(f"the chat template refuses these messages: {error}") from error

    def n_training_tokens(self, example: Example) -> int:
        return sum(len(sequence.ids) for sequence in encode(example, self))

    def _plain(self, message: Message, number: int) -> Message:
        """A message whose content is text: parts of type "text" are joined, others refused."""
        if message.get("tool_calls") and "tool_calls" not in str(self._chat_template):
            raise EngineError(f"message {number}: this base model's chat template has no place for tool_calls")
        content = message.get("content")
        if content is None:
            content = ""
        elif not isinstance(content, str):
            kinds = [part.get("type") for part in content]
            if set(kinds) - {"text"}:
                raise EngineError(f"message {number}: content parts of type {kinds}; this base model reads only text")
            content = "".join(part["text"] for part in content)
        return {**message, "content": content}

    @cached_property
    def _added(self) -> frozenset[int]:
        return frozenset(self.fast.get_added_tokens_decoder())

    @cached_property
    def _compiled(self) -> jinja2.Template:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
        return environment.from_string(self._chat_template or "")


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def load_tokenizer(folder: Path) -> LoraTokenizer:
    """From a transformers folder: tokenizer.json, tokenizer_config.json and, where there is one, the chat template."""
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        fast = FastTokenizer.from_file(str(folder / "tokenizer.json"))
    except (OSError, ValueError) as error:
        raise EngineError(f"{folder} has no readable tokenizer.json and tokenizer_config.json: {error}") from error
    template = folder / "chat_template.jinja"
    text = template.read_text(encoding="utf-8") if template.exists() else config.get("chat_template")
    special = {name: _text(config.get(name)) for name in ("bos_token", "eos_token")}
    return LoraTokenizer(fast, text, {name: value for name, value in special.items() if value})


def _text(token: Any) -> str | None:
    """A special token is written as a string or as an object with `content`."""
    return token["content"] if isinstance(token, dict) else token
