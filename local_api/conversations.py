"""From messages to an engine's request and back: what chat completions and responses have in common.

Knows the engine's protocol and the rules of messages, not the shape of either endpoint's requests and answers.

    prompt = prompt_of(here, target, [{"role": "user", "content": "Hello"}], param="messages")
    schema = answer_schema("json_schema", {"name": "colour", "schema": {...}}, place="response_format.json_schema")
"""

import re
from typing import Any

from local_api.answers import Target
from local_api.context import Context
from local_api.engines.protocols import TokenLogprob
from local_api.errors import InvalidRequest, UnsupportedParameter
from local_api.training_files import InvalidTrainingFile, read_messages

DEFAULT_MAX_TOKENS = 1024  # an answer ends by its end-of-turn token; this is for one that never does
MAX_TOP_LOGPROBS = 20
FORMAT_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def prompt_of(here: Context, target: Target, messages: list[dict[str, Any]], *, param: str) -> list[int]:
    """The token ids of a conversation. Raises InvalidRequest naming the message."""
    try:
        checked = read_messages(messages, param)
    except InvalidTrainingFile as error:
        raise InvalidRequest(str(error), param=param) from None
    tokenizer = here.engine.tokenizer(target.base.id)
    return tokenizer.encode(tokenizer.render(checked))


def answer_schema(kind: Any, given: Any, *, place: str, kind_place: str) -> dict[str, Any] | None:
    """The JSON schema that the answer must satisfy; {} for any JSON object; None for free text.

    `given`: name, schema and so on, where `kind` is json_schema. `place`, `kind_place`: their names in the request.
    """
    if kind == "text":
        return None
    if kind == "json_object":
        return {}
    if kind != "json_schema":
        raise UnsupportedParameter(f"{kind_place} must be text, json_object or json_schema, not {kind!r}.", param=kind_place)
    if not isinstance(given, dict) or not isinstance(given.get("schema"), dict):
        raise InvalidRequest(f"{place}.schema must be a JSON schema (an object).", param=f"{place}.schema")
    refuse_others(given, {"name", "description", "schema", "strict"}, place)
    if not isinstance(given.get("name"), str) or not FORMAT_NAME.fullmatch(given["name"]):
        raise InvalidRequest(f"{place}.name must be 1 to 64 letters, digits, _ or -.", param=f"{place}.name")
    return given["schema"]


def refuse_others(given: dict[str, Any], known: set[str], place: str) -> None:
    """Raise InvalidRequest for a key that the hosted API does not know here."""
    for name in given:
        if name not in known:
            raise InvalidRequest(f"Unrecognized request argument supplied: {place}.{name}", param=f"{place}.{name}",
                                 code="unknown_parameter")


def shape_logprobs(tokens: list[TokenLogprob]) -> list[dict[str, Any]]:
    return [{"token": token.token, "bytes": list(token.bytes), "logprob": token.logprob,
             "top_logprobs": [{"token": text, "bytes": list(raw), "logprob": logprob} for text, raw, logprob in token.top]}
            for token in tokens]
