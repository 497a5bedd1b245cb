"""Answers to many prompts with what they took, and measures that fit any kind of text.

Knows completions, seconds and tokens. Knows nothing of what a good answer has.

    asked = ask(client, prompts, model=model, stop="\\n", max_tokens=60, temperature=0)
    asked.texts[0], asked.cost()
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openai

from helpers.batch import complete_many
from helpers.metrics import bootstrap_interval


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers to a list of prompts, in their order. `stopped` is False where an answer ran into `max_tokens`."""

    texts: list[str]
    stopped: list[bool]
    tokens_read: list[int]
    tokens_written: list[int]
    seconds: float  # from the first request to the last answer

    def cost(self) -> dict[str, float]:
        """For one answer: tokens read, tokens written, and milliseconds with the concurrency that was used."""
        return {"tokens read": float(np.mean(self.tokens_read)), "tokens written": float(np.mean(self.tokens_written)),
                "ms": 1000 * self.seconds / len(self.texts)}


def ask(client: openai.OpenAI, prompts: Sequence[str], *, model: str, **params: Any) -> Asked:
    """`complete_many`, with a clock running. `params` are those of `client.completions.create`."""
    start = time.perf_counter()
    answers = complete_many(client, prompts, model=model, **params)
    seconds = time.perf_counter() - start
    return Asked(
        texts=[answer.choices[0].text.strip() for answer in answers],
        stopped=[answer.choices[0].finish_reason == "stop" for answer in answers],
        tokens_read=[answer.usage.prompt_tokens for answer in answers],
        tokens_written=[answer.usage.completion_tokens for answer in answers], seconds=seconds)


def ask_again(client: openai.OpenAI, asked: Asked, prompts: Sequence[str], passes: Callable[[int, str, bool], bool], *,
              model: str, tries: int = 3, temperature: float = 0.7, **params: Any) -> Asked:
    """`asked`, with new answers for those of `prompts` whose answer does not pass; up to `tries` times, each time for those left.

    `passes` gets the place of the prompt, the text, and whether it stopped. What never passes stays as it was last.
    Tokens and seconds are those of all tries, the first one included. `asked` itself stays as it is.
    """
    texts, stopped = list(asked.texts), list(asked.stopped)
    read, written, seconds = list(asked.tokens_read), list(asked.tokens_written), asked.seconds
    for number in range(1, tries + 1):
        left = [place for place in range(len(texts)) if not passes(place, texts[place], stopped[place])]
        if not left:
            break
        new = ask(client, [prompts[place] for place in left], model=model, temperature=temperature, seed=number, **params)
        seconds += new.seconds
        for at, place in enumerate(left):
            texts[place], stopped[place] = new.texts[at], new.stopped[at]
            read[place] += new.tokens_read[at]
            written[place] += new.tokens_written[at]
    return Asked(texts, stopped, read, written, seconds)


def share(parts: Sequence[float], wholes: Sequence[float] | None = None) -> str:
    """The sum of `parts` over that of `wholes` (over their number, if left out), as "0.62 (0.55 to 0.69)".

    The interval is that of resampled texts: parts and wholes of one text stay together. "none" where the wholes are all 0.
    """
    wholes = np.ones(len(parts)) if wholes is None else wholes
    if not np.sum(wholes):
        return "none"
    low, high = interval(parts, wholes, score=_ratio)
    shown = f"{_ratio(np.asarray(parts), np.asarray(wholes)):.2f}"
    return shown if np.isnan(low) else f"{shown} ({low:.2f} to {high:.2f})"


def interval(*samples: Sequence[float], score: Callable[..., float]) -> tuple[float, float]:
    """`bootstrap_interval`; of a single text, which says nothing about others, two NaN."""
    return bootstrap_interval(*samples, score=score) if len(samples[0]) > 1 else (np.nan, np.nan)


def chrf(said: Sequence[str], truth: Sequence[str]) -> list[float]:
    """chrF of each text against its model: 100 if equal, 0 if they share no sequence of letters.

    Popović 2015, as sacrebleu computes it: F-score of the character sequences of length 1 to 6, recall weighing twice.
    """
    from sacrebleu import sentence_chrf  # only here: a quarter of a second that other measures need not take

    return [sentence_chrf(text, [wanted]).score for text, wanted in zip(said, truth, strict=True)]


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> float:
    # A resample may hold none of the few texts that count: nothing found in nothing.
    return float(parts.sum() / wholes.sum()) if wholes.sum() else 0.0
