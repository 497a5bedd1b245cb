"""What the API takes as a training row: rows of messages, one by one, and the fields that it knows.

The same rules as those of the server, which this package may not import: a test holds the two together. Knows nothing of
files, tables and fixes.

    without_extras({"messages": [...], "id": 7})      # the row without what the API refuses, and the names of that
    message_error({"messages": [...]})                # what the API would say, or None
"""

from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
CHAT_FIELDS = frozenset({"messages", "tools", "functions", "parallel_tool_calls"})
MESSAGE_FIELDS = frozenset({"role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal"})
ANSWERS = ("preferred_output", "non_preferred_output")
ALIASES = {"preferred_completion": "preferred_output", "non_preferred_completion": "non_preferred_output"}
PREFERENCE_FIELDS = frozenset({"input", *ANSWERS, *ALIASES})
MINIMUM_EXAMPLES = 10
KINDS: dict[type, str] = {dict: "a dictionary", list: "a list", str: "a text", bool: "a boolean", int: "a number",
                          float: "a number", type(None): "null"}


def kind_of(row: Mapping[str, Any]) -> str:
    """"chat", "preference" or "completion": what a row wants to be."""
    if "messages" in row:
        return "chat"
    given = row.get("input")
    if PREFERENCE_FIELDS & row.keys() - {"input"} or (isinstance(given, dict) and "messages" in given):
        return "preference"
    return "completion"


def kind_name(value: object) -> str:
    return KINDS.get(type(value), type(value).__name__)


def without_extras(row: Row) -> tuple[Row, list[str]]:
    """The row of messages without the fields that the API refuses, and their names. The row itself is left alone."""
    allowed = CHAT_FIELDS if "messages" in row else PREFERENCE_FIELDS
    extras = [name for name in row if name not in allowed]
    clean = {name: value for name, value in row.items() if name in allowed}
    if "messages" in clean:
        clean["messages"] = _plain_messages(clean["messages"], extras)
    for name in PREFERENCE_FIELDS & clean.keys():
        value = clean[name]
        if name == "input" and isinstance(value, dict) and "messages" in value:
            clean[name] = {**value, "messages": _plain_messages(value["messages"], extras)}
        else:
            clean[name] = _plain_messages(value, extras)
    return (clean, extras) if extras else (row, [])


def message_error(row: Row) -> str | None:
    """Why the API would refuse a row of messages, its extra fields aside; None if it would not."""
    if "messages" not in row:
        return _preference_error(row)
    if problem := _messages_error(row["messages"], "messages"):
        return problem
    if not any(message["role"] == "assistant" and message.get("weight", 1) for message in row["messages"]):
        return "there is no assistant message to learn from (with a weight other than 0)"
    return None


def _preference_error(row: Row) -> str | None:
    given = row.get("input")
    if not isinstance(given, dict) or "messages" not in given:
        return "input is not a dictionary with messages"
    if problem := _messages_error(given["messages"], "input"):
        return problem
    for name, alias in zip(ANSWERS, ALIASES, strict=True):
        value = row.get(name, row.get(alias))
        if value is None:
            return f"{name} is missing"
        if problem := _messages_error(value, name):
            return problem
        if any(message["role"] != "assistant" for message in value):
            return f"{name} holds messages that are not the assistant's"
    return None


def _messages_error(messages: object, name: str) -> str | None:
    if not isinstance(messages, list):
        return f"{name} is {kind_name(messages)}, not a list of messages"
    if not messages:
        return f"{name} is an empty list"
    for number, message in enumerate(messages, 1):
        if problem := _message_error(message):
            return f"{name}, message {number}: {problem}"
    return None


def _message_error(message: object) -> str | None:
    if not isinstance(message, dict):
        return f"{kind_name(message)}, not a dictionary"
    if "role" not in message:
        return "role is missing"
    role, weight = message["role"], message.get("weight")
    if not isinstance(role, str) or role not in ROLES:
        return f"role is {role!r:.30}, not one of {', '.join(ROLES)}"
    if weight is not None and (role != "assistant" or isinstance(weight, bool) or weight not in (0, 1)):
        return f"weight is {weight!r:.30} on the role {role}: it is 0 or 1, and for the assistant alone"
    return _content_error(message, role)


def _content_error(message: Row, role: str) -> str | None:
    content = message.get("content")
    if content is None and role == "assistant" and (message.get("tool_calls") or message.get("function_call")):
        return None
    if isinstance(content, list):
        wrong = [part for part in content if not isinstance(part, dict) or part.get("type") != "text"
                 or not isinstance(part.get("text"), str)]
        return "content has parts that are not text" if wrong else None
    if not isinstance(content, str):
        return f"content is {'missing' if 'content' not in message else kind_name(content)}, not a text"
    return "content is empty: the assistant has nothing to say" if not content and role == "assistant" else None


def _plain_messages(messages: object, extras: list[str]) -> object:
    if not isinstance(messages, list):
        return messages
    for message in messages:
        if isinstance(message, dict):
            extras += [name for name in message if name not in MESSAGE_FIELDS]
    return [{name: value for name, value in message.items() if name in MESSAGE_FIELDS} if isinstance(message, dict)
            else message for message in messages]
