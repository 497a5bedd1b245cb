"""Training files: JSONL in three forms, read with the line and the field of whatever is wrong.

Knows nothing of jobs, routes or engines' insides: bytes on disk in, examples or an error with its line out.

    check_jsonl(path)                                  # at upload: every line is a JSON dictionary
    examples = read_examples(path, method="supervised")   # when the job is validated
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from local_api.engines.protocols import Chat, Example, Preference, PromptCompletion

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# The last two come with an answer of the chat endpoint, which people append to the conversation as it is.
KEYS_OF_A_MESSAGE = {"role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal", "annotations"}
MAX_LINE_BYTES = 8 * 1024 * 1024
FORMATS = {PromptCompletion: "fine-tune-completion", Chat: "fine-tune-chat", Preference: "fine-tune-preference"}
EXPECTED = "Unexpected file format, expected either prompt/completion pairs or chat messages"


class InvalidTrainingFile(ValueError):
    """What is wrong with a file; the message names the line."""

    def __init__(self, message: str, *, code: str = "invalid_training_file") -> None:
        super().__init__(message)
        self.code = code


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, dictionary) for every line that is not blank. CRLF line ends and a byte order mark are fine."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                raise InvalidTrainingFile(f"Line {number} is longer than {MAX_LINE_BYTES // 1024**2} MB, which no model can "
                                          "take: is this one JSON document instead of one JSON dictionary a line?")
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.strip():
                yield number, parse(number, raw)


def parse(number: int, raw: bytes) -> dict[str, Any]:
    """The dictionary of one line."""
    expected = "Expected file to have JSONL format, where every line is a valid JSON dictionary."
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidTrainingFile(f"{expected} Line {number} is not UTF-8 (byte 0x{raw[error.start]:02x} at position "
                                  f"{error.start + 1}): save the file as UTF-8.") from None
    if "\0" in text:
        raise InvalidTrainingFile(f"{expected} Line {number} holds a NUL byte at column {text.index(chr(0)) + 1}: the file "
                                  "is damaged, or UTF-16: save it as UTF-8.")
    try:
        value = json.loads(text, parse_constant=refuse_constant)
        text_is_whole = json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise InvalidTrainingFile(f"{expected} Line {number} is not valid JSON at column {error.colno}: {error.msg}.") from None
    except UnicodeEncodeError:
        raise InvalidTrainingFile(f"{expected} Line {number} holds half of a surrogate pair (\\ud800 to \\udfff), which is "
                                  "no character.") from None
    except (RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidTrainingFile(f"{expected} Line {number} is not valid JSON: {reason}.") from None
    if not isinstance(value, dict) or not text_is_whole:
        hint = " Write each element of the array on a line of its own." if isinstance(value, list) else ""
        raise InvalidTrainingFile(f"{expected} Line {number} is {kind(value)}.{hint}")
    return value


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def kind(value: object) -> str:
    """How to name a value's type to people who write JSON."""
    names: dict[type, str] = {dict: "a dictionary", list: "an array", str: "a string", bool: "a boolean", int: "a number",
                              float: "a number", type(None): "null"}
    return names[type(value)]


def check_jsonl(path: Path) -> None:
    """Raise InvalidTrainingFile unless every line is a JSON dictionary and there is at least one."""
    if not any(True for _ in json_lines(path)):
        raise InvalidTrainingFile("The file is empty: expected JSONL, where every line is a valid JSON dictionary.")
    for _ in json_lines(path):
        pass


def read_examples(path: Path, *, method: Literal["supervised", "dpo"], minimum: int = 1,
                  what: str = "Training file") -> list[Example]:
    """All examples of a file, or InvalidTrainingFile naming the example, its line and field.

    All rows must have one form, that of the method. `minimum`: fewer examples are refused (the hosted API asks for ten).
    """
    examples: list[Example] = []
    for line, row in json_lines(path):
        place = f"Example {len(examples) + 1} (line {line})"
        example = read_row(row, line, place)
        if examples and type(example) is not type(examples[0]):
            raise InvalidTrainingFile(f"{place} is in the {FORMATS[type(example)]} format, the examples before it in the "
                                      f"{FORMATS[type(examples[0])]} format: a file has one format.")
        examples.append(example)
    if len(examples) < minimum:
        raise InvalidTrainingFile(f"{what} has {len(examples)} example(s), but must have at least {minimum} examples",
                                  code="invalid_n_examples")
    if (method == "dpo") != isinstance(examples[0], Preference):
        raise InvalidTrainingFile(f"{what} is in the {FORMATS[type(examples[0])]} format, but the method {method} needs the "
                                  + ("fine-tune-preference format." if method == "dpo"
                                     else "fine-tune-chat or fine-tune-completion format."))
    return examples


def read_row(row: dict[str, Any], line: int, place: str) -> Example:
    """The example of one row, by the keys that it has."""
    if "messages" in row:
        only(row, place, {"messages", "tools", "functions", "parallel_tool_calls"})
        messages = read_messages(row["messages"], f"{place}: messages")
        if not any(message["role"] == "assistant" and message.get("weight", 1) for message in messages):
            raise InvalidTrainingFile(f"{place}: messages hold no assistant message to learn from (with a weight other than 0).")
        if row.get("tools") is not None:
            check_dictionaries(row["tools"], f"{place}: tools")
        return Chat(messages, tools=row.get("tools"), line=line)
    if "input" in row:
        return read_preference(row, line, place)
    if "prompt" in row or "completion" in row:
        only(row, place, {"prompt", "completion"})
        prompt, completion = (text_field(row, name, place) for name in ("prompt", "completion"))
        if not completion:
            raise InvalidTrainingFile(f"{place}: completion is empty: there is nothing to learn. Remove the row or fill it in.")
        return PromptCompletion(prompt, completion, line=line)
    found = ", ".join(sorted(row)[:6]) or "no keys at all"
    raise InvalidTrainingFile(f"{EXPECTED}. {place} has {found}.")


def read_preference(row: dict[str, Any], line: int, place: str) -> Preference:
    """A row of preferred and rejected answers; the older name of the answers is taken too."""
    only(row, place, {"input", "preferred_output", "non_preferred_output", "preferred_completion", "non_preferred_completion"})
    given = row["input"]
    if not isinstance(given, dict) or "messages" not in given:
        raise InvalidTrainingFile(f"{place}: input must be a dictionary with messages, not {kind(given)}.")
    answers = []
    for name in ("preferred", "non_preferred"):
        value = row.get(f"{name}_output", row.get(f"{name}_completion"))
        if value is None:
            raise InvalidTrainingFile(f"{place}: {name}_output is missing.")
        messages = read_messages(value, f"{place}: {name}_output")
        if any(message["role"] != "assistant" for message in messages):
            raise InvalidTrainingFile(f"{place}: {name}_output must hold assistant messages alone.")
        answers.append(messages)
    return Preference(read_messages(given["messages"], f"{place}: input.messages"), *answers, line=line)


def read_messages(value: object, place: str) -> list[dict[str, Any]]:
    """Chat messages, checked one by one."""
    if not isinstance(value, list) or not value:
        raise InvalidTrainingFile(f"{place} must be a list of at least one message, not "
                                  f"{'an empty one' if value == [] else kind(value)}.")
    for number, message in enumerate(value, start=1):
        check_message(message, f"{place.removesuffix(': messages')}, message {number}")
    return value


def check_message(message: object, place: str) -> None:
    if not isinstance(message, dict):
        raise InvalidTrainingFile(f"{place} must be a dictionary, not {kind(message)}.")
    if "role" not in message:
        raise InvalidTrainingFile(f"{place}: Discriminator 'role' is missing in value.")
    role = message["role"]
    if role not in ROLES:
        raise InvalidTrainingFile(f"{place}: role must be one of {', '.join(ROLES)}, not {role!r}.")
    only(message, place, KEYS_OF_A_MESSAGE)
    if message.get("weight", 0) is None:
        del message["weight"]  # not given, which engines take for 1
    if message.get("tool_calls") is not None:
        check_dictionaries(message["tool_calls"], f"{place}: tool_calls")
    weight = message.get("weight")
    if weight is not None and (role != "assistant" or isinstance(weight, bool) or weight not in (0, 1)):
        raise InvalidTrainingFile(f"{place}: weight belongs to assistant messages and is 0 or 1, not {weight!r} on {role}.")
    content = message.get("content")
    if content is None and role == "assistant" and (message.get("tool_calls") or message.get("function_call")):
        return
    if isinstance(content, list):
        for part in content:
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                raise InvalidTrainingFile(f"{place}: content parts must be of type text: this model reads nothing else.")
    elif not isinstance(content, str):
        raise InvalidTrainingFile(f"{place}: content must be a string, not {kind(content)}.")
    elif not content and role == "assistant":
        raise InvalidTrainingFile(f"{place}: content is empty: an assistant message needs something to say.")


def check_dictionaries(value: object, place: str) -> None:
    if not isinstance(value, list) or not all(isinstance(element, dict) for element in value):
        raise InvalidTrainingFile(f"{place} must be a list of dictionaries, not {kind(value)}"
                                  f"{' of something else' if isinstance(value, list) else ''}.")


def text_field(row: dict[str, Any], name: str, place: str) -> str:
    if name not in row:
        raise InvalidTrainingFile(f"{place}: {name} is missing; each row needs prompt and completion (prompt may be \"\").")
    if not isinstance(row[name], str):
        raise InvalidTrainingFile(f"{place}: {name} must be a string, not {kind(row[name])}: put quotation marks around it.")
    return row[name]


def only(row: dict[str, Any], place: str, allowed: set[str]) -> None:
    if extra := sorted(set(row) - allowed):
        raise InvalidTrainingFile(f"{place}: unexpected key(s) {', '.join(map(repr, extra))}; "
                                  f"known here: {', '.join(sorted(allowed))}.")
