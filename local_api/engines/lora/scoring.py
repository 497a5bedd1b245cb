"""How likely a model finds a text that it did not choose: the log-probability of each token, given those before it.

llama.cpp tells log-probabilities only of what it generates. So it is made to generate the text, by a grammar with one sentence,
and tells what the model itself thought of each token, before the grammar. That takes a pass for each token, where reading
a prompt takes one for many. It knows llama.cpp's options and chunks, and no threads.

    score(partial(llama.complete, adapter=adapter), [504, 3575, 28], tokenizer, top=0)   # the first has nothing before it
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from math import nan
from typing import Any, Protocol

from local_api.engines.lora.answers import told
from local_api.engines.lora.llama import OnChunk
from local_api.engines.lora.sampling import MAX_TOP_LOGPROBS
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import TokenLogprob

SURELY = 1e4  # a bias after which a token comes: it is added to logits, and these are some tens
PLAIN = {"temperature": 0.0, "samplers": ["temperature"], "cache_prompt": True, "timings_per_token": True}


class Complete(Protocol):
    """`Llama.complete` with an adapter."""

    def __call__(self, prompt: Sequence[int], options: Mapping[str, Any], *, on_chunk: OnChunk) -> None: ...


def score(complete: Complete, tokens: Sequence[int], tokenizer: LoraTokenizer, *, top: int,
          unwanted: Callable[[], bool] = lambda: False) -> list[TokenLogprob]:
    """Each token, with the `top` likeliest at its place; the first has NaN and none. Nothing once `unwanted` is true."""
    data = [tokenizer.token_bytes(token) for token in tokens]

    def kind(place: int) -> str:
        return "special" if tokenizer.is_special(tokens[place]) else "whole" if _is_text(data[place]) else "part"

    found: dict[int, Mapping[str, Any]] = {}  # by place
    for what, run in groupby(range(1, len(tokens)), kind):
        places = list(run)
        # A grammar lets the tokens that end an answer come at its own end alone, and stumbles over parts of characters.
        for part in [places] if what == "whole" else [[place] for place in places]:
            if unwanted():
                return []
            if what == "part":
                found[part[0]] = _among_all(complete, tokens, part[0], tokenizer, top)
            else:
                found |= _forced(complete, tokens, part, special=what == "special", top=top, unwanted=unwanted)
    if unwanted():
        return []
    first = [TokenLogprob(tokens[0], data[0].decode(errors="replace"), data[0], nan)] if tokens else []
    return first + [told(found[place], data[place], tokenizer.token_bytes, top) for place in range(1, len(tokens))]


def _forced(complete: Complete, tokens: Sequence[int], places: Sequence[int], *, special: bool, top: int,
            unwanted: Callable[[], bool]) -> dict[int, Mapping[str, Any]]:
    """llama.cpp's entries for a run of whole tokens, or for a special one, by place."""
    first, found = places[0], dict[int, Mapping[str, Any]]()

    def receive(chunk: Mapping[str, Any]) -> bool:
        for entry in (chunk["choices"][0].get("logprobs") or {}).get("content") or []:
            place = first + chunk["timings"]["predicted_n"] - 1
            if entry["id"] != tokens[place]:
                raise AssertionError(f"llama.cpp wrote token {entry['id']} in place of {tokens[place]}")
            found[place] = entry
        return unwanted()

    wanted = [tokens[place] for place in places]
    sentence = "root ::= " + " ".join(f"<[{token}]>" for token in wanted)
    way = {"logit_bias": [[wanted[0], SURELY]]} if special else {"grammar": sentence}
    complete(tokens[:first], {**PLAIN, **way, "n_predict": len(wanted), "logprobs": max(1, top)}, on_chunk=receive)
    return found


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _among_all(complete: Complete, tokens: Sequence[int], place: int, tokenizer: LoraTokenizer, top: int) -> Mapping[str, Any]:
    """The entry of a part of a character, which is not told when it comes: it is looked for among the likeliest tokens at its
    place, and then among all there are, which takes half a second."""
    [other] = tokenizer.encode("z")
    for number in (MAX_TOP_LOGPROBS, tokenizer.vocabulary_size):
        entries: list[Mapping[str, Any]] = []
        complete(tokens[:place], {**PLAIN, "logit_bias": [[other, SURELY]], "n_predict": 1, "logprobs": number},
                 on_chunk=lambda chunk, entries=entries: bool(
                     entries.extend((chunk["choices"][0].get("logprobs") or {}).get("content") or [])))
        likeliest = entries[0]["top_logprobs"]
        for entry in likeliest:
            if entry["id"] == tokens[place]:
                return {**entry, "top_logprobs": likeliest[:top]}
    raise AssertionError(f"token {tokens[place]} is not in the vocabulary")
