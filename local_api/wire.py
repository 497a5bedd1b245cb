"""Requests and responses: the official client's own types, made strict.

The client's TypedDicts say which fields a request has and its pydantic models which fields an answer has; nothing is
written here a second time. Knows nothing of stores, engines and routes.

    body = COMPLETIONS.read(await request.body())     # InvalidRequest names the field
"""

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, NoReturn, Required, get_type_hints

import orjson
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.fine_tuning import job_create_params
from openai.types.responses import input_token_count_params, response_create_params
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from local_api.errors import InvalidRequest, UnsupportedParameter

Tokens = list[int]
LONG_NUMBER = re.compile(rb"\d{19}")  # perhaps an integer of more than 64 bits
# Fields that say who asks or how to route and cache: they change no answer, here or at the hosted service.
WITHOUT_EFFECT = frozenset({"user", "safety_identifier", "prompt_cache_key"})
# Values of fields that are not honoured which ask for what is done anyway: frameworks send them with every request.
DONE_ANYWAY: dict[str, list[Any]] = {
    "store": [False], "background": [False], "modalities": [["text"]], "service_tier": ["auto", "default"],
    "truncation": ["disabled"], "verbosity": ["medium"], "tools": [[]], "functions": [[]],
    "tool_choice": ["auto", "none"], "function_call": ["auto", "none"], "parallel_tool_calls": [True, False]}


class Body:
    """The reader of one request body."""

    def __init__(self, name: str, hints: Mapping[str, Any], *, honoured: set[str]) -> None:
        self.known = frozenset(hints)
        self.honoured = honoured | WITHOUT_EFFECT
        hints = {field: hint for field, hint in hints.items() if field in self.honoured}  # others never come to validation
        # The fields of a request are checked one against another by the types; those of nested objects by `unknown`.
        kind = with_config(ConfigDict(extra="forbid", strict=True))(TypedDict(name, dict(hints), total=False))
        self.adapter = TypeAdapter(kind)

    def read(self, raw: bytes) -> dict[str, Any]:
        """The fields that were given and are not null. Raises InvalidRequest or UnsupportedParameter naming the field."""
        given = read_json(raw)
        body = {name: value for name, value in given.items() if value is not None and not self.is_done_anyway(name, value)}
        for name in body:
            if name not in self.known:
                raise InvalidRequest(f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")
            if name not in self.honoured:
                raise UnsupportedParameter(f"{name} is not supported by the local API: leave it out.", param=name)
        try:
            validated = self.adapter.validate_python(body)
            stray = unknown(body, validated)
        except ValidationError as error:
            refuse(error)
        except RecursionError:
            raise InvalidRequest("The JSON body of your request is nested too deeply.") from None
        if stray:
            raise InvalidRequest(f"Unrecognized request argument supplied: {stray}", param=stray, code="unknown_parameter")
        return validated

    def is_done_anyway(self, name: str, value: Any) -> bool:
        """Whether the value of a field that is not honoured asks for nothing else than what is done without it."""
        return (name not in self.honoured and name in self.known
                and any(type(value) is type(ours) and value == ours for ours in DONE_ANYWAY.get(name, ())))

    def openapi(self) -> dict[str, Any]:
        """What a route's OpenAPI description tells of its body: for /docs, and for tests that make bodies up."""
        schema = self.adapter.json_schema()
        return {"requestBody": {"required": True, "content": {"application/json": {
            "schema": inlined(schema, schema.pop("$defs", {}))}}}}


def inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with each `$ref` replaced by what it stands for: in a larger document they would lead nowhere."""
    if isinstance(schema, list):
        return [inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    return {key: inlined(part, definitions) for key, part in schema.items()}


def read_json(raw: bytes) -> dict[str, Any]:
    """The body as a dictionary, or InvalidRequest."""
    try:
        value = loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("We could not parse the JSON body of your request: the body must be a JSON object in UTF-8 "
                             f"({type(error).__name__}).") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {type(value).__name__}.")
    return value


def loads(raw: bytes) -> Any:
    """What the JSON holds, read by orjson, or by json what that makes floats of or refuses. Raises ValueError, RecursionError."""
    if not LONG_NUMBER.search(raw):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(raw)
    value = json.loads(raw)
    if not raw.isascii() or b"\\" in raw:  # may hold half a surrogate pair, which would fail much later
        json.dumps(value, ensure_ascii=False).encode()
    return value


def as_json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def refuse(error: ValidationError) -> NoReturn:
    """The most telling of pydantic's complaints, in the API's words."""
    complaints = error.errors(include_url=False, include_context=False)
    # A union complains once for each member: the one that got furthest into the value is what the client meant.
    worst = max(complaints, key=lambda complaint: len(complaint["loc"]))
    place = [str(part) for part in worst["loc"] if not is_union_tag(part)]
    field = ".".join(place) or None
    if worst["type"] == "missing":
        raise InvalidRequest(f"Missing required parameter: '{field}'.", param=field, code="missing_required_parameter")
    met = repr(worst["input"])
    met = met if len(met) <= 80 else met[:77] + "..."
    raise InvalidRequest(f"Invalid value for '{field}': {worst['msg'][0].lower()}{worst['msg'][1:]}, not {met}.", param=field,
                         code="invalid_value")


def is_union_tag(part: object) -> bool:
    """Whether a part of pydantic's location names a member of a union instead of a field or an index."""
    return isinstance(part, str) and (not part.isidentifier() or part in ("int", "float", "str", "bool") or part[0].isupper())


def unknown(given: Any, validated: Any, place: str = "") -> str | None:
    """The first key of `given`, at any depth, that validation dropped because no type knows it."""
    if isinstance(given, dict) and isinstance(validated, dict):
        for key, value in given.items():
            path = f"{place}.{key}" if place else str(key)
            if key not in validated:
                return path
            if found := unknown(value, validated[key], path):
                return found
    if isinstance(given, list) and isinstance(validated, list):
        for index, (one, other) in enumerate(zip(given, validated, strict=True)):
            if found := unknown(one, other, f"{place}[{index}]"):
                return found
    return None


def in_range(value: float | None, name: str, low: float, high: float, *, above: bool = False) -> None:
    """Raise InvalidRequest if the field `name` is not finite or lies outside its limits; `above`: low itself is out.

    None is fine.
    """
    if value is None:
        return
    if not (value > low if above else value >= low) or value > high or value == math.inf:
        limits = f"more than {low:g}" if above else f"at least {low:g}"
        limits += "" if math.isinf(high) else f" and at most {high:g}"
        met = f"{value}"[:40]  # a JSON number may have thousands of digits
        raise InvalidRequest(f"Invalid value for '{name}': must be {limits}, not {met}.", param=name, code="invalid_value")


def body_of(parameters: type, *, honoured: set[str], **adapted: Any) -> Body:
    """The reader for one of the client's parameter types. `adapted`: plain types for what pydantic would keep lazy."""
    return Body(parameters.__name__, {**get_type_hints(parameters, include_extras=True), **adapted}, honoured=honoured)


SAMPLING = {"model", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "n", "presence_penalty", "seed", "stop",
            "stream", "stream_options", "temperature", "top_p"}
Stop = str | list[str]

COMPLETIONS = body_of(
    completion_create_params.CompletionCreateParamsBase, honoured=SAMPLING | {"prompt", "best_of", "echo"},
    prompt=str | list[str] | list[Tokens] | Tokens, stop=Stop, stream=bool, logit_bias=dict[str, int | float])
CHAT = body_of(
    chat_create_params.CompletionCreateParamsBase,
    honoured=SAMPLING | {"messages", "max_completion_tokens", "top_logprobs", "response_format"},
    messages=Required[list[dict[str, Any]]], stop=Stop, stream=bool, logit_bias=dict[str, int | float],
    tools=list[dict[str, Any]], functions=list[dict[str, Any]], response_format=dict[str, Any])
EMBEDDINGS = body_of(
    embedding_create_params.EmbeddingCreateParams, honoured={"input", "model", "encoding_format", "dimensions"},
    input=Required[str | list[str] | list[Tokens] | Tokens])
RESPONSES = body_of(
    response_create_params.ResponseCreateParamsBase,
    honoured={"model", "input", "instructions", "max_output_tokens", "metadata", "stream", "stream_options", "temperature",
              "top_p", "top_logprobs", "text", "include"},
    model=Required[str], input=Required[str | list[dict[str, Any]]], stream=bool, text=dict[str, Any])
INPUT_TOKENS = body_of(
    input_token_count_params.InputTokenCountParams, honoured={"model", "input", "instructions", "text"},
    model=Required[str], input=Required[str | list[dict[str, Any]]], text=dict[str, Any])


class Classification(TypedDict, total=False):
    """What is measured on the validation file at each epoch's end: an extension of today's API by us."""

    n_classes: int
    positive_class: str
    betas: list[float]


class FineTune(TypedDict, total=False):
    """A request of the old API; today's client has no type for it."""

    training_file: Required[str]
    validation_file: str
    model: str
    suffix: str
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    prompt_loss_weight: float
    compute_classification_metrics: bool
    classification_n_classes: int
    classification_positive_class: str
    classification_betas: list[float]


FINE_TUNES = body_of(FineTune, honoured=set(FineTune.__annotations__))
FINE_TUNING_JOBS = body_of(
    job_create_params.JobCreateParams,
    honoured={"model", "training_file", "validation_file", "suffix", "seed", "method", "hyperparameters", "metadata",
              "classification"},
    integrations=list[dict[str, Any]], classification=Classification)
Purpose = Literal["fine-tune", "fine-tune-results", "assistants", "batch", "vision", "user_data", "evals"]
