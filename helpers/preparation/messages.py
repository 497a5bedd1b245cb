"""The texts of messages, and rows of messages with other texts in their places.

Knows the shape of a row that the API takes. Knows nothing of tables.

    message_text({"role": "user", "content": "Where is it?"})      # "Where is it?"
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from helpers.preparation.rules import ALIASES

Row = dict[str, Any]

OPENING = ("system", "developer")  # roles that speak before the conversation, mostly the same words in every row


def renamed(row: Row) -> Row:
    """The row with today's names of its answers."""
    old = [name for name in ALIASES if name in row and ALIASES[name] not in row]
    return {ALIASES[name] if name in old else name: value for name, value in row.items()} if old else row


def last_answer(messages: Sequence[Row]) -> int:
    """The place of the last message of the assistant."""
    return max(number for number, message in enumerate(messages) if message["role"] == "assistant")


def message_text(message: Row) -> str:
    """The text of a message; of one that calls tools, the calls as JSON."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    calls = message.get("tool_calls") or message.get("function_call")
    return content or (json.dumps(calls, ensure_ascii=False) if calls else "")


def transcript(messages: Sequence[Row]) -> str:
    return "\n".join(f"{message['role']}: {message_text(message)}" for message in messages)


def map_messages(row: Row, function: Callable[[str], str]) -> Row:
    """The row with `function` of each message's text, whose shape is known to be right."""
    def one(message: Row) -> Row:
        content = message.get("content")
        if isinstance(content, str):
            return {**message, "content": function(content)}
        if isinstance(content, list):
            return {**message, "content": [{**part, "text": function(part["text"])} for part in content]}
        return message

    changed = dict(row)
    for name in ("messages", "preferred_output", "non_preferred_output"):
        if name in row:
            changed[name] = [one(message) for message in row[name]]
    if "input" in row:
        changed["input"] = {**row["input"], "messages": [one(message) for message in row["input"]["messages"]]}
    return changed
