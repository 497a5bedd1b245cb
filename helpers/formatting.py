"""How a text and its answer become a training row, and how the same text is sent later: one definition for both.

Knows the two kinds of rows, prompt-completion and chat. Knows nothing of files (`tables.py`) and nothing of the task.

    style = PromptFormat()
    rows = style.rows(frame, text="text", answer="department")                     # for training
    client.completions.create(model=..., prompt=style.prompt("..."), stop=style.stop_sequence)  # for inference
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from helpers.errors import FormatError

Row = dict[str, Any]


class _Style(Protocol):
    def row(self, text: str, answer: str) -> Row: ...


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """Prompt-completion rows: `instruction`, text, `separator`; then a space, the answer and the `stop` sequence.

    The separator tells the model where the prompt ends and the answer begins, so it may occur nowhere else. The stop
    sequence tells it where the answer ends; it may be empty where each answer is a single token. The leading space
    is there because most tokenizers have one token for a word with the space before it.
    """

    separator: str = "\n\n###\n\n"
    stop: str = "\n"
    instruction: str = ""

    def __post_init__(self) -> None:
        if self.separator and self.separator in self.instruction:
            raise FormatError(f"the instruction contains the separator {self.separator!r}: choose another separator",
                              field="instruction")

    def prompt(self, text: str) -> str:
        """What the model reads, in training as in use. Raises FormatError where the text contains the separator."""
        _check_text(text, "text")
        body = f"{self.instruction}\n\n{text.strip()}" if self.instruction else text.strip()
        prompt = body + self.separator
        # Looked for in the whole prompt: a text ending in "\n\n###" would make the separator begin too early.
        if self.separator and prompt.find(self.separator) < len(body):
            raise FormatError(f"the text contains the separator {self.separator!r}: choose a separator that occurs in "
                              "no text, or change the text", field="text")
        return prompt

    def completion(self, answer: str) -> str:
        """What the model learns to write. Raises FormatError where the answer is empty or contains the stop."""
        _check_text(answer, "answer")
        if not answer.strip():
            raise FormatError("the answer is empty, so there is nothing to learn: give one, such as 'none', or drop "
                              "the row", field="answer")
        body = " " + answer.strip()
        if self.stop and (body + self.stop).find(self.stop) < len(body):
            raise FormatError(f"the answer contains the stop sequence {self.stop!r}: choose one that occurs in no "
                              "answer, such as ' END', or change the answer", field="answer")
        return body + self.stop

    def row(self, text: str, answer: str) -> Row:
        """One line of the training file."""
        return {"prompt": self.prompt(text), "completion": self.completion(answer)}

    def rows(self, frame: pd.DataFrame, *, text: str, answer: str) -> list[Row]:
        """A row for each row of `frame`, from its columns `text` and `answer`. An error names the row."""
        return _rows(self, frame, text, answer)

    def parse(self, completion: str) -> str:
        """The answer in what a model wrote: cut at the stop sequence, without the space around it."""
        return (completion.split(self.stop, 1)[0] if self.stop else completion).strip()

    def text_of(self, prompt: str) -> str:
        """The text in a prompt: the way back from `prompt`."""
        opening = f"{self.instruction}\n\n" if self.instruction else ""
        return prompt.removeprefix(opening).removesuffix(self.separator)

    @property
    def stop_sequence(self) -> str | None:
        """For the `stop` of a request; None where answers are a single token."""
        return self.stop or None


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """Chat rows: the `system` message if there is one, the text as the user's, the answer as the assistant's."""

    system: str = ""

    def messages(self, text: str) -> list[Row]:
        """What the model reads, in training as in use."""
        _check_text(text, "text")
        opening = [{"role": "system", "content": self.system}] if self.system else []
        return [*opening, {"role": "user", "content": text.strip()}]

    def row(self, text: str, answer: str) -> Row:
        """One line of the training file."""
        _check_text(answer, "answer")
        if not answer.strip():
            raise FormatError("the answer is empty, so there is nothing to learn: drop the row", field="answer")
        return {"messages": [*self.messages(text), {"role": "assistant", "content": answer.strip()}]}

    def rows(self, frame: pd.DataFrame, *, text: str, answer: str) -> list[Row]:
        """A row for each row of `frame`, from its columns `text` and `answer`. An error names the row."""
        return _rows(self, frame, text, answer)

    def parse(self, content: str | None) -> str:
        """The answer in what a model wrote."""
        return (content or "").strip()


def to_chat(row: Mapping[str, Any], style: PromptFormat | None = None) -> Row:
    """A chat row of a prompt-completion row that was written in `style`; its instruction becomes the system message."""
    style = style or PromptFormat()
    for field in ("prompt", "completion"):
        if not isinstance(row.get(field), str):
            raise FormatError(f"expected a prompt-completion row, met {_kind(row.get(field))} for {field!r}",
                              field=field)
    return ChatFormat(style.instruction).row(style.text_of(row["prompt"]), style.parse(row["completion"]))


def to_prompt_completion(row: Mapping[str, Any], style: PromptFormat | None = None) -> Row:
    """A prompt-completion row, in `style`, of a chat row with one exchange; a system message opens the prompt.

    Raises FormatError for a longer conversation: which turn to complete, and how to write those before it, is a choice.
    """
    style = style or PromptFormat()
    messages = row.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise FormatError(f"expected a chat row, met {_kind(messages)} for 'messages'", field="messages")
    roles = [message.get("role") for message in messages]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise FormatError(f"expected the roles (system,) user, assistant, met {', '.join(map(str, roles)) or 'none'}: "
                          "make one row of each assistant turn first", field="messages")
    for message in messages:
        _check_text(message.get("content"), "content")
    if len(messages) == 3:
        style = PromptFormat(style.separator, style.stop, messages[0]["content"])
    return style.row(messages[-2]["content"], messages[-1]["content"])


def _rows(style: _Style, frame: pd.DataFrame, text: str, answer: str) -> list[Row]:
    for column in (text, answer):
        if column not in frame.columns:
            raise FormatError(f"there is no column {column!r}: the table has {', '.join(map(repr, frame.columns))}",
                              field=column)
    rows = []
    for number, pair in enumerate(zip(frame[text], frame[answer], strict=True)):
        try:
            rows.append(style.row(*pair))
        except FormatError as error:
            # A table read with its file lines as the index names the line; any other counts its rows.
            place = {"line": int(frame.index[number])} if frame.index.name == "line" else {"row": number + 1}
            column = {"text": text, "answer": answer}.get(error.field or "")
            raise FormatError(str(error), field=column, **place) from None
    return rows


def _check_text(value: object, field: str) -> None:
    if not isinstance(value, str):
        raise FormatError(f"the {field} is {_kind(value)}, not text: convert the column first, with .astype(str), or "
                          "drop the row", field=field)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.40} ({type(value).__name__})"
