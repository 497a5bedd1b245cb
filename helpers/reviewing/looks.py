"""A row as the model will see it: its parts in order, with what is invisible made visible, as text and as HTML.

Knows the three kinds of rows. Knows nothing of files, decisions and widgets.

    print(plain(parts(row, style)))
    html = marked_up(parts(row, style))

In both a line break is ↵, a space at an edge ·, and what cannot be shown is written as \\u200b. As text, the separator and the
stop sequence stand in ⟦ ⟧, as HTML in a frame.
"""

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.preparation.characters import CONTROL
from helpers.preparation.endings import Style
from helpers.preparation.rules import ALIASES
from helpers.reviewing.rows import Row, is_pair, problem

LEGEND = "↵ is a line break, · a space at an edge, ⟦ ⟧ hold the separator and the stop sequence."
# What no screen shows, or what would break the output: half of a surrogate pair cannot even be printed.
INVISIBLE = re.compile(f"{CONTROL.pattern}|[\u2028\u2029\ud800-\udfff]")
HEAD, TAIL = 700, 300  # characters of a long text in a list of rows: the end has the separator
ANSWER_NAMES = {"preferred_output": "preferred", "non_preferred_output": "not preferred"}


@dataclass(frozen=True, slots=True)
class Part:
    """A text that the model reads or learns to write, what it is, and the marker that it ends with."""

    label: str
    text: str
    marker: str = ""
    note: str = ""


def parts(row: Row, style: Style) -> list[Part]:
    """All of a row, in the order in which the model sees it; fields that it does not see come last."""
    if problem(row) is not None:
        return [Part(name, _text(value)) for name, value in row.items()]
    if is_pair(row):
        markers = {"prompt": ("separator", style.separator), "completion": ("stop sequence", style.stop)}
        found = [_marked(name, row[name], *marker) for name, marker in markers.items()]
        return found + [Part(name, _text(value)) for name, value in row.items() if name not in markers]
    return list(_conversation(row))


def _marked(name: str, text: str, kind: str, marker: str) -> Part:
    if marker and text.endswith(marker):
        return Part(name, text[: -len(marker)], marker)
    return Part(name, text, note=f"without the {kind} ⟦{_signs(marker)}⟧" if marker else "")


def _conversation(row: Row) -> Iterator[Part]:
    given = row if "messages" in row else row["input"]
    rest = {name: value for name, value in given.items() if name != "messages"}
    yield from (Part(name, _text(value)) for name, value in rest.items() if name in ("tools", "functions"))
    yield from (_turn(message) for message in given["messages"])
    for name, value in (row if given is not row else {}).items():
        answer = ANSWER_NAMES.get(ALIASES.get(name, name))
        if answer:
            yield from (_turn(message, answer) for message in value)
        elif name != "input":
            yield Part(name, _text(value))
    yield from (Part(name, _text(value)) for name, value in rest.items() if name not in ("tools", "functions"))


def _turn(message: Row, answer: str = "") -> Part:
    notes = [name for name in (answer, message.get("name")) if name]
    if message.get("tool_call_id"):
        notes.append(f"answers {message['tool_call_id']}")
    if message.get("weight") is not None:
        notes.append(f"weight {message['weight']}" + ("" if message["weight"] else ": not learned"))
    content = message.get("content") or ""
    said = [content if isinstance(content, str) else "".join(part["text"] for part in content)]
    said += [f"calls {_call(call)}" for call in _listed(message.get("tool_calls")) + _listed(message.get("function_call"))]
    return Part(message["role"] + (f" ({', '.join(map(str, notes))})" if notes else ""), "\n".join(text for text in said if text))


def _call(call: Any) -> str:
    """A call as name(arguments), with its id; JSON where it is of another shape."""
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or "name" not in function:
        return _text(call)
    return f"{function['name']}({_text(function.get('arguments', ''))})" + (f" as {call['id']}" if call.get("id") else "")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def visible(text: str) -> str:
    """The text with what cannot be seen written out, and spaces at its edges as ·."""
    body = text.strip(" ")
    edges = len(text) - len(text.lstrip(" ")), len(text) - len(text.rstrip(" "))
    left, right = (edges[0], edges[1]) if body else (len(text), 0)
    body = INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", body).replace("\t", "⇥\t").replace("\n", "↵\n")
    return "·" * left + body + "·" * right


def _signs(marker: str) -> str:
    """A marker on one line."""
    return visible(marker).replace("↵\n", "↵").replace("⇥\t", "⇥").replace(" ", "·")


def plain(shown: Sequence[Part], *, cut: bool = False, indent: str = "  ") -> str:
    """The parts as text, each under its label. `cut`: without the middle of long texts."""
    lines = []
    for part in shown:
        text = visible(_shortened(part.text) if cut else part.text) + (f"⟦{_signs(part.marker)}⟧" if part.marker else "")
        lines.append(f"{indent}{visible(part.label)}" + (f", {part.note}" if part.note else ""))
        # Split at line feeds alone: str.splitlines knows more of them.
        lines += [f"{indent}    {line}" for line in (text or "(empty)").removesuffix("\n").split("\n")]
    return "\n".join(lines)


def _shortened(text: str) -> str:
    left_out = len(text) - HEAD - TAIL
    return f"{text[:HEAD]} […{left_out:,} characters…] {text[-TAIL:]}" if left_out > 0 else text


TEXT = ("white-space: pre-wrap; overflow-wrap: anywhere; font-family: var(--jp-code-font-family, monospace); line-height: 1.4; "
        "margin: 2px 0 8px 0; padding: 4px 8px; border-left: 3px solid var(--jp-border-color2, currentColor)")
SIGN = "color: var(--jp-ui-font-color2, inherit)"
FRAME = "border: 1px solid var(--jp-ui-font-color2, currentColor); border-radius: 3px; padding: 0 3px"


def marked_up(shown: Sequence[Part]) -> str:
    """The parts as HTML, in the colours of JupyterLab's theme."""
    return "".join(f"<div><b>{html.escape(visible(part.label))}</b>{html.escape(f', {part.note}' if part.note else '')}</div>"
                   f'<div style="{TEXT}">{_body(part)}</div>' for part in shown)


def _body(part: Part) -> str:
    text = html.escape(visible(part.text)).replace("↵\n", f'<span style="{SIGN}">↵</span>\n')
    if part.marker:
        text += f'<span style="{FRAME}">{html.escape(_signs(part.marker))}</span>'
    return text or f'<span style="{SIGN}">(empty)</span>'
