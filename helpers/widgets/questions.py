"""A prompt with its dials: the request that it becomes, the same as code, and the answer piece by piece.

Knows completions and chat completions of the official client. Knows nothing of the screen.

    question = Question(model=model, prompt="...", temperature=0.7, probabilities=5)
    for piece in question.stream(client): ...    # Piece(text, tokens, finish)
    print(question.code())
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an answer, its probability, and the likeliest ones in its place with theirs."""

    text: str
    probability: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """What came in one chunk. `finish` is the reason for the end, in the last one."""

    text: str
    tokens: tuple[Token, ...] = ()
    finish: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """`probabilities` is how many of the likeliest tokens to ask for in each place; 0: none. `system` is for a chat alone."""

    model: str
    prompt: str
    chat: bool = False
    system: str = ""
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 60
    stop: tuple[str, ...] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    probabilities: int = 0

    def request(self) -> dict[str, Any]:
        """The fields of the request. Dials that stand where the API has them anyway are left out: not every model takes all."""
        opening = [{"role": "system", "content": self.system}] if self.system else []
        asked = ({"messages": [*opening, {"role": "user", "content": self.prompt}]} if self.chat else {"prompt": self.prompt})
        dials = {"top_p": (self.top_p, 1.0), "frequency_penalty": (self.frequency_penalty, 0.0),
                 "presence_penalty": (self.presence_penalty, 0.0), "stop": (list(self.stop), []), "seed": (self.seed, None)}
        return {"model": self.model, **asked, "temperature": self.temperature,
                "max_completion_tokens" if self.chat else "max_tokens": self.max_tokens,
                **{name: value for name, (value, usual) in dials.items() if value != usual}, **self._logprobs()}

    def code(self) -> str:
        """The same request in Python, with the way to its answer."""
        where, answer = ("chat.completions", "message.content") if self.chat else ("completions", "text")
        fields = "".join(f"    {name}={value!r},\n" for name, value in self.request().items())
        return f"answer = client.{where}.create(\n{fields})\nprint(answer.choices[0].{answer})"

    def stream(self, client: openai.OpenAI) -> Iterator[Piece]:
        """The answer as it comes. Raises openai.APIError. Closing the iterator ends the request."""
        endpoint = client.chat.completions if self.chat else client.completions
        with endpoint.create(**self.request(), stream=True) as chunks:
            for chunk in chunks:
                for choice in chunk.choices:
                    text = choice.delta.content if self.chat else choice.text
                    found = _chat_tokens(choice.logprobs) if self.chat else _tokens(choice.logprobs)
                    yield Piece(text or "", tuple(found), choice.finish_reason)

    def _logprobs(self) -> dict[str, Any]:
        if not self.probabilities:
            return {}
        return {"logprobs": True, "top_logprobs": self.probabilities} if self.chat else {"logprobs": self.probabilities}


def _tokens(told: Any) -> Iterator[Token]:
    if told is None:
        return
    tops = told.top_logprobs or [{}] * len(told.tokens)
    for text, logprob, top in zip(told.tokens, told.token_logprobs, tops, strict=True):
        yield Token(text, math.exp(logprob), _ranked((top or {}).items()))


def _chat_tokens(told: Any) -> Iterator[Token]:
    for token in (told.content or []) if told is not None else []:
        yield Token(token.token, math.exp(token.logprob), _ranked((one.token, one.logprob) for one in token.top_logprobs))


def _ranked(top: Any) -> tuple[tuple[str, float], ...]:
    return tuple((text, math.exp(logprob)) for text, logprob in sorted(top, key=lambda one: -one[1]))
