"""A generation request in llama.cpp's words.

It knows llama.cpp's option names, and nothing of servers or threads. Every option that llama.cpp would otherwise set by a
default of its own (top_k 40, min_p 0.05, a window of 64 tokens for penalties) is set here, so that what was not asked
for does not happen.

    options(request, vocabulary_size=49152)   # {"n_predict": 16, "temperature": 1.0, ...}
"""

import json
from typing import Any

from local_api.engines.lora.llama import library
from local_api.engines.protocols import EngineError, GenerationRequest

MAX_TOP_LOGPROBS = 20
_LARGEST_SEED = 2**32 - 2  # llama.cpp takes the next one for "choose any"


def options(request: GenerationRequest, *, vocabulary_size: int) -> dict[str, Any]:
    """llama.cpp's options of a request. EngineError for what cannot be done."""
    chosen: dict[str, Any] = {
        "n_predict": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "samplers": _samplers(request),
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "logit_bias": _bias(request, vocabulary_size),
        "cache_prompt": True,
        "timings_per_token": True,  # tells how many tokens a chunk stands for
    }
    if request.seed is not None:
        chosen["seed"] = request.seed % _LARGEST_SEED
    if request.top_logprobs is not None:
        if request.top_logprobs > MAX_TOP_LOGPROBS:
            raise EngineError(f"top_logprobs is {request.top_logprobs}, at most {MAX_TOP_LOGPROBS} are told")
        chosen["logprobs"] = max(1, request.top_logprobs)
    if request.json_schema is not None:
        chosen["grammar"] = _grammar(request)
    return chosen


def penalises(request: GenerationRequest) -> bool:
    """Whether earlier tokens of the answer change the odds of later ones."""
    return bool(request.presence_penalty or request.frequency_penalty)


def _samplers(request: GenerationRequest) -> list[str]:
    """Only those that do something: each left out saves a pass over the vocabulary for each token."""
    samplers = ["penalties"] if penalises(request) else []
    samplers.append("temperature")
    if request.top_p < 1 and request.temperature > 0:
        samplers.append("top_p")
    return samplers


def _bias(request: GenerationRequest, vocabulary_size: int) -> list[list[Any]]:
    """-100 bans a token outright, as the API says; llama.cpp writes that as false."""
    for token in request.logit_bias:
        if not 0 <= token < vocabulary_size:
            raise EngineError(f"logit_bias: token {token} is not in the vocabulary of {vocabulary_size} tokens")
    return [[token, False if bias <= -100 else bias] for token, bias in request.logit_bias.items()]


def _grammar(request: GenerationRequest) -> str:
    if penalises(request):
        raise EngineError("presence_penalty and frequency_penalty cannot be combined with a JSON schema: leave one of them out")
    schema = request.json_schema or {"type": "object"}
    if isinstance(schema, dict):
        # Where JSON allows any blanks, a small model writes line breaks until its tokens are used up.
        schema = {**schema, "x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}}
    try:
        return library().json_schema_to_grammar(json.dumps(schema))
    except ValueError as error:
        raise EngineError(f"the JSON schema cannot be followed: {error}") from error
