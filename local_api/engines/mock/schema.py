"""The smallest JSON document that a schema allows, for answers that must be JSON. A schema too clever is refused by name.

Knows the keywords that structured outputs are usually made of: type, properties, required, items, enum, const, anyOf,
$ref within the document, and the limits on length, size and value. Knows no tokens.

    smallest_json({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})  # '{"n": 0}'
"""

import json
from collections.abc import Mapping
from math import floor
from typing import Any

from local_api.engines.protocols import EngineError

_NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated",
          "readOnly", "writeOnly"}
_KEYWORDS = {
    "object": {"properties", "required", "additionalProperties", "maxProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "boolean": set(),
    "null": set(),
}
_ALL = set().union(*_KEYWORDS.values())
DEEPEST, LARGEST = 50, 2_000  # levels; values, and characters of a string: a schema must not make the server busy


def smallest_json(schema: Mapping[str, Any]) -> str:
    """JSON text that satisfies `schema`; {} means any object. EngineError: the keyword, and where it stands."""
    try:
        return json.dumps(_Writer(schema).value(schema, "$", 0) if schema else {}, ensure_ascii=False)
    except (AttributeError, LookupError, TypeError) as error:  # a keyword with a value of another type than it takes
        raise _refuse("$", f"a keyword whose value is not of the type it takes ({error})") from None


def _refuse(where: str, what: str) -> EngineError:
    return EngineError(f"the mock engine cannot answer by this JSON schema: {what} at {where}; simplify the schema, "
                       "or use --engine lora")


class _Writer:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._values = 0

    def value(self, schema: Any, where: str, depth: int) -> Any:
        """The smallest value that `schema` allows; `where` is its path, for messages."""
        self._values += 1
        if depth > DEEPEST or self._values > LARGEST:
            raise _refuse(where, f"more than {DEEPEST} levels or {LARGEST} values (does a required property "
                                 "refer to itself?)")
        if schema is True:
            return None
        if not isinstance(schema, Mapping):
            raise _refuse(where, f"a schema that is {json.dumps(schema)}")
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            if not schema["enum"]:
                raise _refuse(where, "an enum without values")
            return schema["enum"][0]
        for keyword, follow in (("$ref", self._referred), ("anyOf", self._first_possible)):
            if keyword in schema:
                _check_keywords(schema, {keyword}, f"{where} beside {keyword}")
                return follow(schema[keyword], where, depth)
        return self._by_type(schema, where, depth)

    def _referred(self, reference: str, where: str, depth: int) -> Any:
        if reference != "#" and not reference.startswith("#/"):
            raise _refuse(where, f"the $ref {reference!r} to another document")
        target: Any = self._root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or name not in target:
                raise _refuse(where, f"the $ref {reference!r}, which leads nowhere,")
            target = target[name]
        return self.value(target, where, depth + 1)

    def _first_possible(self, choices: list[Any], where: str, depth: int) -> Any:
        refusal = _refuse(where, "an anyOf without choices")
        # Choices that refer elsewhere come last: one of them may lead back here.
        for number, choice in sorted(enumerate(choices), key=lambda item: isinstance(item[1], Mapping) and "$ref" in item[1]):
            try:
                return self.value(choice, f"{where}.anyOf[{number}]", depth + 1)
            except EngineError as error:
                refusal = error
        raise refusal

    def _by_type(self, schema: Mapping[str, Any], where: str, depth: int) -> Any:
        kind = schema.get("type") or next((kind for kind, words in _KEYWORDS.items() if words & set(schema)), "null")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind not in _KEYWORDS:
            raise _refuse(where, f"the type {kind!r}")
        _check_keywords(schema, _ALL | {"type"}, where)  # keywords of another type say nothing about this value
        if kind == "object":
            properties = schema.get("properties", {})
            return {name: self.value(properties.get(name, True), f"{where}.{name}", depth + 1)
                    for name in schema.get("required", ())}
        if kind == "array":
            item = schema.get("items", True)
            return [self.value(item, f"{where}[{place}]", depth + 1) for place in range(schema.get("minItems", 0))]
        if kind == "string":
            length = schema.get("minLength", 0)
            if length > LARGEST:
                raise _refuse(where, f"a minLength of more than {LARGEST}")
            return "x" * length
        if kind == "boolean":
            return False
        return None if kind == "null" else _smallest_number(schema, kind, where)


def _check_keywords(schema: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(schema) - _NOTES - known)
    if unknown:
        raise _refuse(where, f"the keyword {unknown[0]!r}")


def _smallest_number(schema: Mapping[str, Any], kind: str, where: str) -> float:
    """0 where it is allowed, else the nearest allowed to the lower limit, or to the upper one."""
    low = schema.get("exclusiveMinimum", schema.get("minimum"))
    high = schema.get("exclusiveMaximum", schema.get("maximum"))
    candidates = [0]
    for limit in (low, high):
        if limit is not None:
            candidates += [limit, floor(limit), floor(limit) + 1, floor(limit) - 1]
    if low is not None and high is not None:
        candidates.append((low + high) / 2)
    for value in candidates:
        if _allowed(value, schema) and (kind == "number" or value == floor(value)):
            return int(value) if value == floor(value) else value
    raise _refuse(where, f"no {kind} between {low} and {high}")


def _allowed(value: float, schema: Mapping[str, Any]) -> bool:
    return (value >= schema.get("minimum", value) and value <= schema.get("maximum", value)
            and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
            and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"]))
