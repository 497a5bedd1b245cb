"""The smallest JSON for a schema: what it satisfies, and what is refused by name."""

import json
from typing import Any

import pytest

from local_api.engines.mock.schema import smallest_json
from local_api.engines.protocols import EngineError

PERSON = {"type": "object", "additionalProperties": False, "required": ["name", "tags", "boss"], "$defs": {
    "tag": {"type": "string", "enum": ["new", "old"]}}, "properties": {
    "name": {"type": "string", "minLength": 3, "description": "as written"}, "age": {"type": "integer"},
    "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
    "boss": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}


@pytest.mark.parametrize(("schema", "value"), [
    ({}, {}), ({"type": "object"}, {}), ({"type": "array"}, []), ({"type": "boolean"}, False), ({"type": "null"}, None),
    ({"type": ["string", "null"]}, ""), ({"const": [1]}, [1]), ({"anyOf": [True]}, None), ({"properties": {"a": True}, "required": ["a"]}, {"a": None}),
    ({"type": "integer"}, 0), ({"type": "integer", "minimum": 3}, 3), ({"type": "integer", "exclusiveMinimum": 3}, 4),
    ({"type": "integer", "maximum": -2.5}, -3), ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, 1.5),
    ({"anyOf": [{"type": "string", "pattern": "x"}, {"type": "integer"}]}, 0), ({"items": {"type": "null"}}, []),
    ({**PERSON, "required": ["name", "tags"]}, {"name": "xxx", "tags": ["new", "new"]}),
])
def test_simple_schemas_are_satisfied_by_a_small_document(schema: dict[str, Any], value: Any) -> None:
    assert json.loads(smallest_json(schema)) == value


def test_a_choice_that_leads_back_to_itself_is_taken_last() -> None:
    assert json.loads(smallest_json({**PERSON, "required": ["boss"]})) == {"boss": None}


@pytest.mark.parametrize("broken", [{"properties": [], "required": ["a"]}, {"type": "array", "minItems": "x"}, {"$ref": 5},
                                    {"type": {"a": 1}}, {"enum": {"a": 1}}, {"anyOf": 5}, {"type": "string", "minLength": None}])
def test_a_schema_that_is_none_is_the_clients_mistake(broken: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="not of the type it takes"):
        smallest_json(broken)


@pytest.mark.parametrize(("schema", "message"), [
    ({"type": "string", "pattern": "a"}, "keyword 'pattern' at \\$"),
    ({"type": "object", "properties": {"d": {"type": "string", "format": "date"}}, "required": ["d"]}, r"'format' at \$\.d"),
    ({"allOf": [{}]}, "'allOf'"), ({"anyOf": [{}], "minLength": 3}, "'minLength' at \\$ beside anyOf"),
    ({"anyOf": []}, "without choices"), ({"enum": []}, "enum without values"), ({"type": "date"}, "type 'date'"),
    ({"$ref": "other.json"}, "another document"), ({"$ref": "#/$defs/none"}, "leads nowhere"),
    ({"type": "integer", "minimum": 1.2, "maximum": 1.8}, "no integer between 1.2 and 1.8"),
    ({"type": "array", "minItems": 10**9}, "more than"), ({"type": "string", "minLength": 10**9}, "minLength of more"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}, "refer to itself"),
    ({"properties": {"a": False}, "required": ["a"]}, "a schema that is false"),
])
def test_what_is_beyond_it_is_refused_by_name_and_place(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        smallest_json(schema)
