"""Examples of the training file as the mock engine learns them: prompts with the tokens that answer them.

A chat row gives one answer for each weighted assistant turn, with the rendered conversation before it as the prompt. Knows
no counts, steps or files.

    row = read_row(PromptCompletion("2+2=", " 4\\n", line=1), load_tokenizer(), method="supervised", limit=8192)
    row.answers[0].entry.tokens
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from local_api.engines.mock.model import Entry
from local_api.engines.mock.tokenizer import END_OF_TEXT, MockTokenizer
from local_api.engines.protocols import Chat, EngineError, Example, Message, Preference, PromptCompletion

Method = Literal["supervised", "dpo"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An entry, and how many of its tokens count in losses: an end token that the file does not hold does not."""

    entry: Entry
    scored: int


@dataclass(frozen=True, slots=True)
class Row:
    """One example: the answers to learn, for a preference the one to unlearn, and the tokens that an epoch over it costs."""

    answers: tuple[Answer, ...]
    rejected: Answer | None
    tokens: int


def read_row(example: Example, tokenizer: MockTokenizer, *, method: Method, limit: int) -> Row:
    """EngineError, with the line: another format than the method needs, nothing to learn, or more than `limit` tokens."""
    if isinstance(example, Preference) != (method == "dpo"):
        wanted = "preference rows" if method == "dpo" else "prompt-completion or chat rows"
        raise EngineError(f"line {example.line}: the method {method} trains on {wanted}, not on {type(example).__name__}")
    tokens = tokenizer.n_training_tokens(example)
    if tokens > limit:
        raise EngineError(f"line {example.line}: the example has {tokens} tokens, the limit is {limit}: shorten it")
    if isinstance(example, Preference):
        chosen, rejected = (_reply(example, answer, tokenizer) for answer in (example.preferred, example.rejected))
        return Row((chosen,), rejected, tokens)
    answers = _completion(example, tokenizer) if isinstance(example, PromptCompletion) else _turns(example, tokenizer)
    if not answers:
        raise EngineError(f"line {example.line}: nothing to learn: the completion is empty, or no assistant message "
                          "has a weight other than 0")
    return Row(answers, None, tokens)


def _completion(example: PromptCompletion, tokenizer: MockTokenizer) -> tuple[Answer, ...]:
    tokens = tokenizer.encode(example.completion)
    return (Answer(Entry(example.prompt, (*tokens, END_OF_TEXT)), len(tokens)),) if tokens else ()


def _turns(example: Chat, tokenizer: MockTokenizer) -> tuple[Answer, ...]:
    learned = [number for number, message in enumerate(example.messages)
               if message["role"] == "assistant" and message.get("weight") != 0]
    return tuple(
        _answer(tokenizer.render(example.messages[:number], tools=example.tools),
                tokenizer.render(example.messages[:number + 1], tools=example.tools, add_generation_prompt=False),
                tokenizer, example.line)
        for number in learned)


def _reply(example: Preference, reply: Sequence[Message], tokenizer: MockTokenizer) -> Answer:
    whole = tokenizer.render([*example.messages, *reply], add_generation_prompt=False)
    return _answer(tokenizer.render(example.messages), whole, tokenizer, example.line)


def _answer(prompt: str, whole: str, tokenizer: MockTokenizer, line: int) -> Answer:
    """What `whole` says after `prompt`, its end-of-turn token included and the line break after that left out."""
    if not whole.startswith(prompt):
        raise EngineError(f"line {line}: the answer must begin with an assistant message")
    tokens = tuple(tokenizer.encode(whole.removeprefix(prompt).removesuffix("\n")))
    return Answer(Entry(prompt, tokens), len(tokens))
