"""Which columns of a table are the prompt and the completion: as told, or by their names.

Knows names. Knows nothing of files and of what stands in the columns.

    prompt, completion = choose({"Question": ..., "Answer": ..., "id": ...}, (), None, path)   # ["Question"], "Answer"
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from helpers.errors import FormatError

# Names in the order in which they are preferred. Compared without case, spaces and underscores.
PROMPTS = ("prompt", "question", "input", "instruction", "text", "message", "customermessage", "messagetext", "query", "request",
           "email", "source", "article", "document", "review", "comment", "sentence", "content", "body", "description", "ticket")
COMPLETIONS = ("completion", "answer", "output", "response", "label", "category", "class", "target", "reply", "result",
               "sentiment", "intent", "department", "team", "topic", "tag", "summary", "headline", "translation", "entities")
QUESTIONS = ("prompt", "question", "input", "instruction")  # one of these alone is no text to learn
INSTRUCTION = ("instruction", "input")  # a pair of columns that together are the prompt, in a form much in use


class ColumnsUnclear(FormatError):
    """The file has columns, and nobody said which of them are the prompt and the completion. `names` are all of them."""

    def __init__(self, names: Sequence[str], path: Path, *, missing: str, other_sheets: Sequence[str] = ()) -> None:
        self.names, self.missing = list(names), missing
        sheets = f". Other sheets are {', '.join(map(repr, other_sheets))}" if other_sheets else ""
        super().__init__(f"cannot tell which column is the {missing}: name it. The columns are "
                         f"{', '.join(map(repr, names))}{sheets}", path=path)


def choose(names: Iterable[str], prompt: Sequence[str], completion: str | None, path: Path) -> tuple[list[str], str]:
    """The prompt columns (several: one text below the other; none: empty prompts) and the completion column."""
    names = list(names)
    chosen = [_find(name, names, path) for name in prompt]
    answer = _find(completion, names, path) if completion is not None else None
    if answer is None:
        answer = _by_name([name for name in names if name not in chosen], COMPLETIONS)
    if not chosen:
        chosen = _prompts([name for name in names if name != answer])
    rest = [name for name in names if name not in chosen and name != answer]
    # Of two columns, the one that is not known is the other one.
    if answer is None and len(rest) == 1 and chosen:
        answer = rest[0]
    if answer is None and len(names) == 1 and not prompt and _plain(names[0]) not in QUESTIONS:
        return [], names[0]
    if answer is None:
        raise ColumnsUnclear(names, path, missing="completion")
    if not chosen and len(rest) == 1:
        chosen = rest
    if not chosen and rest:
        raise ColumnsUnclear(names, path, missing="prompt")
    if answer in chosen:
        raise FormatError(f"the column {answer!r} cannot be both prompt and completion", path=path, field=answer)
    return chosen, answer


def _find(name: str, names: Sequence[str], path: Path) -> str:
    """The column of that name, whatever its case."""
    matches = [other for other in names if other == name] or [other for other in names if _plain(other) == _plain(name)]
    if not matches:
        raise FormatError(f"there is no column {name!r}: the file has {', '.join(map(repr, names))}", path=path, field=name)
    return matches[0]


def _prompts(names: Sequence[str]) -> list[str]:
    plain = {_plain(name): name for name in names}
    if all(name in plain for name in INSTRUCTION):
        return [plain[name] for name in INSTRUCTION]
    found = _by_name(names, PROMPTS)
    return [found] if found else []


def _by_name(names: Iterable[str], known: Sequence[str]) -> str | None:
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    return next((plain[name] for name in known if name in plain), None)


def _plain(name: str) -> str:
    return "".join(name.casefold().split()).replace("_", "").replace("-", "")
