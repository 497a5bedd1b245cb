"""How many tokens a text has, and what a training run will cost: one counter, which works offline.

Knows the two vocabularies of today's hosted models. For local and unknown models a count is an estimate with the newer
one (`is_exact` tells). Knows nothing of jobs.

    count_tokens("Where is my parcel?")
    print(estimate(rows, model="gpt-4.1-mini", n_epochs=3, price_per_million=5))

The vocabularies come from the data files of the package bpe-openai, read without importing it (its extension has 74 MB).
tiktoken takes vocabularies from a folder named by TIKTOKEN_CACHE_DIR: it gets a temporary one, for the moment of loading, and
checks their hashes itself. So its patterns and special tokens need not be written a second time, and nothing stays behind.
"""

import functools
import gzip
import hashlib
import importlib.util
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
from tiktoken.model import encoding_name_for_model

NEWEST = "o200k_base"
VOCABULARY_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"  # never fetched: its hash is a file name

# The published rule for chat requests: tokens around each message, for a name, and for the opening of the answer.
PER_MESSAGE, PER_NAME, ANSWER_OPENING = 3, 1, 3
# The published rule for tools: for each function (by vocabulary), for its first property, for each property, for a list of
# allowed values, for each of them, and once at the end.
FUNCTION = {"cl100k_base": 10, "o200k_base": 7}
FIRST_PROPERTY, PROPERTY, ALLOWED, ALLOWED_VALUE, TOOLS_END = 3, 3, -3, 3, 12

SLICE = 100_000  # characters that are encoded at once
PIECE = 1000  # texts that are encoded together
MOST_THREADS = 8  # more would wait for one another

_loading = threading.Lock()


def encoding_name(model: str) -> str:
    """The vocabulary to count with: "o200k_base" or "cl100k_base". Fine-tuned models have their base model's."""
    return _known_encoding(model) or NEWEST


def is_exact(model: str) -> bool:
    """Whether counts for this model are its own. False: they are an estimate with another model's vocabulary."""
    return _known_encoding(model) is not None


def count_tokens(text: str, model: str = "gpt-4.1") -> int:
    """Tokens of a text as it stands; special tokens written out in it count as plain text."""
    return len(_ids(text, _encoding(encoding_name(model))))


def count_many(texts: Sequence[str], model: str = "gpt-4.1") -> np.ndarray:
    """Tokens of each text, as `count_tokens` counts them, several times as fast: for tables.

    Texts are joined by a special token, at which the tokenizer cuts before all else, and encoded in large pieces on all
    processors: encoding lets other threads run, but for a short text the hand-over takes longer than the work.
    """
    encoding = _encoding(encoding_name(model))
    separator = encoding.decode([encoding.eot_token])
    result = np.zeros(len(texts), dtype=np.int64)
    odd = [place for place, text in enumerate(texts) if len(text) > SLICE or "<|" in text]
    for place in odd:
        result[place] = len(_ids(texts[place], encoding))

    def count(start: int) -> None:
        piece = texts[start : start + PIECE]
        plain = piece if not odd else ["" if len(text) > SLICE or "<|" in text else text for text in piece]
        ids = encoding.encode_to_numpy(separator.join(plain) + separator, allowed_special={separator}, disallowed_special=())
        ends = np.flatnonzero(ids == encoding.eot_token)
        result[start : start + PIECE] += np.diff(ends, prepend=-1) - 1

    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        for _ in pool.map(count, range(0, len(texts), PIECE)):
            pass
    return result


def first_token(text: str, model: str = "gpt-4.1") -> int:
    """The number of the first token of a text that is not empty."""
    return _ids(text, _encoding(encoding_name(model)))[0]


def count_messages(messages: Iterable[Mapping[str, Any]], model: str = "gpt-4.1", *,
                   tools: Sequence[Mapping[str, Any]] | None = None) -> int:
    """Tokens of a chat request, by the rule that OpenAI's cookbook publishes; of a training row likewise.

    Tool calls within messages are not in the published rule: they count by the tokens of their names and arguments.
    """
    total = ANSWER_OPENING
    for message in messages:
        total += PER_MESSAGE + (PER_NAME if message.get("name") else 0)
        # `weight` is for the trainer: the model does not see it.
        total += sum(count_tokens(_text(value), model) for key, value in message.items() if key != "weight")
    return total + (_count_tools(tools, model) if tools else 0)


def count_row(row: Mapping[str, Any], model: str = "gpt-4.1") -> int:
    """Tokens of a training row of any kind. Of a preference, both answers with their prompt, as a trainer reads them."""
    if "prompt" in row:
        return count_tokens(row["prompt"], model) + count_tokens(row["completion"], model)
    if "messages" in row:
        return count_messages(row["messages"], model, tools=row.get("tools"))
    if "input" in row:
        asked = row["input"]["messages"]
        answers = [row["preferred_output"] if "preferred_output" in row else row["preferred_completion"],
                   row["non_preferred_output"] if "non_preferred_output" in row else row["non_preferred_completion"]]
        return sum(count_messages([*asked, *answer], model, tools=row["input"].get("tools")) for answer in answers)
    raise ValueError(f"no training row: it has the fields {', '.join(map(repr, row))}, but neither 'prompt', 'messages' "
                     "nor 'input'")


def count_rows(rows: Sequence[Mapping[str, Any]], model: str = "gpt-4.1") -> np.ndarray:
    """Tokens of each training row; of many prompt-completion rows several times as fast as one by one."""
    if not all("prompt" in row for row in rows):
        return np.array([count_row(row, model) for row in rows], dtype=np.int64)
    return count_many([row["prompt"] for row in rows], model) + count_many([row["completion"] for row in rows], model)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training run takes, before a cent or a minute is spent. Costs are in the currency of the price given."""

    examples: int
    tokens: int  # of one epoch
    trained_tokens: int  # of all epochs
    longest: int  # tokens of the longest example
    cost: float | None
    minutes: float | None
    exact: bool

    def __str__(self) -> str:
        about = "" if self.exact else "about "
        parts = [f"{self.examples:,} examples with {about}{self.tokens:,} tokens (the longest {self.longest:,}), "
                 f"{self.trained_tokens:,} over all epochs"]
        if self.cost is not None:
            parts.append(f"{self.cost:.2f} at the price given")
        if self.minutes is not None:
            parts.append(f"{self.minutes:.1f} minutes on this machine" if self.minutes >= 1
                         else f"{self.minutes * 60:.0f} seconds on this machine")
        return "; ".join(parts) + "."


def estimate(rows: Iterable[Mapping[str, Any]], *, model: str, n_epochs: int, price_per_million: float | None = None,
             tokens_per_second: float | None = None) -> Estimate:
    """Tokens of a training run; its cost if a price per million trained tokens is given, its minutes if a speed is."""
    counts = count_rows(list(rows), model)
    tokens = int(counts.sum())
    trained = tokens * n_epochs
    return Estimate(
        examples=len(counts), tokens=tokens, trained_tokens=trained, longest=int(counts.max(initial=0)),
        cost=None if price_per_million is None else trained * price_per_million / 1e6,
        minutes=None if tokens_per_second is None else trained / tokens_per_second / 60, exact=is_exact(model))


def _known_encoding(model: str) -> str | None:
    # ft:gpt-4.1-mini:org:suffix:id counts as gpt-4.1-mini: tiktoken's own rule takes every "ft:gpt-4..." for gpt-4.
    base = model.split(":")[1] if model.startswith("ft:") else model
    try:
        name = encoding_name_for_model(base)
    except KeyError:
        return None
    # The same vocabulary with more special tokens; the other ones are of models that are gone, and are carried by no package.
    name = NEWEST if name == "o200k_harmony" else name
    return name if name in FUNCTION else None


@functools.cache
def _encoding(name: str) -> tiktoken.Encoding:
    data = Path(importlib.util.find_spec("bpe_openai").submodule_search_locations[0], "data", f"{name}.tiktoken.gz")
    with _loading, tempfile.TemporaryDirectory() as folder:
        file_name = hashlib.sha1(VOCABULARY_URL.format(name).encode()).hexdigest()
        Path(folder, file_name).write_bytes(gzip.decompress(data.read_bytes()))
        before = os.environ.get("TIKTOKEN_CACHE_DIR")
        os.environ["TIKTOKEN_CACHE_DIR"] = folder
        try:
            return tiktoken.get_encoding(name)
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before


def _ids(text: str, encoding: tiktoken.Encoding) -> list[int]:
    if len(text) <= SLICE:
        return encoding.encode_ordinary(text)
    # tiktoken's pattern engine panics on a million blanks in a row; a cut changes the count by one at most.
    return [token for start in range(0, len(text), SLICE) for token in encoding.encode_ordinary(text[start : start + SLICE])]


def _count_tools(tools: Sequence[Mapping[str, Any]], model: str) -> int:
    total = TOOLS_END
    for function in (tool["function"] for tool in tools):
        total += FUNCTION[encoding_name(model)]
        total += count_tokens(f"{function['name']}:{function.get('description', '').removesuffix('.')}", model)
        properties = function.get("parameters", {}).get("properties", {})
        total += FIRST_PROPERTY if properties else 0
        for name, facts in properties.items():
            description = facts.get("description", "").removesuffix(".")
            total += PROPERTY + count_tokens(f"{name}:{facts.get('type', '')}:{description}", model)
            if "enum" in facts:
                total += ALLOWED + sum(ALLOWED_VALUE + count_tokens(str(value), model) for value in facts["enum"])
    return total


def _text(value: Any) -> str:
    """What the model reads of a message's field: text, the texts among its parts, or JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, dict) and "text" in part for part in value):
        return "".join(part["text"] for part in value)
    return json.dumps(value, ensure_ascii=False)
