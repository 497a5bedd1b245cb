"""Changes of rows: which are allowed, and the texts of a row that a person can type over.

Knows rows. Knows nothing of files and widgets.

    changes_of(row, {"completion": " refund END"})       # {"completion": {"before": ..., "after": ...}}
    texts(row)                                           # {"prompt": "...", "completion": "..."}
    with_texts(row, {"messages 2, assistant": "Yes."})   # {"messages": [...]}: the fields that are other ones then
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from helpers.errors import FormatError
from helpers.reviewing.rows import Row, mark_of, problem

Changes = dict[str, dict[str, Any]]


def changes_of(row: Row, fields: Mapping[str, Any]) -> Changes:
    """What an edit changes, by field. Raises FormatError for a field that the row has not, and for a row that nothing can
    be learned from afterwards."""
    if not fields:
        raise FormatError(f"nothing to change: give one of the row's fields, {_names(row)}, such as {next(iter(row))}=...")
    for name in fields:
        if name not in row:
            raise FormatError(f"the row has no field {name!r}: it has {_names(row)}", field=name)
    first = next(iter(fields))
    # By way of JSON: what the log would not give back as it was is refused here, and later changes of a list given do not count.
    try:
        after = json.loads(json.dumps(dict(fields), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise FormatError(f"cannot be written as JSON ({error}): give text, numbers and lists", field=first) from None
    if trouble := problem({**row, **after}):
        raise FormatError(f"nothing could be learned from the row after this change: {trouble}", field=first)
    return {name: {"before": row[name], "after": value} for name, value in after.items()
            if mark_of({name: value}) != mark_of({name: row[name]})}


def texts(row: Row) -> dict[str, str]:
    """The texts of a row by a name of their own: text fields, and each message's content; of a message without one, its JSON."""
    found = {name: value for name, value in row.items() if isinstance(value, str)}
    for field, inner, number, message in _messages(row):
        found[_name(field, inner, number, message)] = _typed(message)
    return found


def with_texts(row: Row, typed: Mapping[str, str]) -> Row:
    """The fields of the row that are other ones with the texts `typed`, by the names that `texts` gives."""
    before = texts(row)
    changed = {name: text for name, text in typed.items() if text != before[name]}
    fields = {name: changed[name] for name in row if name in changed}
    for field, inner, number, message in _messages(row):
        name = _name(field, inner, number, message)
        if name in changed:
            fields.setdefault(field, json.loads(json.dumps(row[field])))
            place = fields[field][inner] if inner else fields[field]
            place[number] = _message(message, changed[name], name)
    return fields


def _messages(row: Row) -> Iterator[tuple[str, str, int, Any]]:
    """(field, field within it or "", place, message) of all messages of a row."""
    for field, value in row.items():
        inner = "messages" if isinstance(value, dict) else ""
        listed = value.get("messages") if inner else value
        if isinstance(listed, list) and field not in ("tools", "functions"):
            yield from ((field, inner, number, message) for number, message in enumerate(listed))


def _name(field: str, inner: str, number: int, message: Any) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    return f"{field} {number + 1}" + (f", {role}" if isinstance(role, str) else "")


def _typed(message: Any) -> str:
    if _is_plain(message):
        return message["content"]
    return json.dumps(message, ensure_ascii=False, indent=2)


def _is_plain(message: Any) -> bool:
    """Whether its content is all that a message says."""
    return (isinstance(message, dict) and isinstance(message.get("content"), str)
            and not message.get("tool_calls") and not message.get("function_call"))


def _message(message: Any, text: str, name: str) -> Any:
    if _is_plain(message):
        return {**message, "content": text}
    try:
        return json.loads(text)
    except ValueError as error:
        raise FormatError(f"{name} is no JSON ({error}): it is a message with calls or parts, written as JSON",
                          field=name) from None


def _names(row: Row) -> str:
    return ", ".join(map(repr, row))
