"""From prompt-completion rows to chat rows and back.

Knows both kinds of rows. Markers and the space before a completion belong to prompt-completion rows alone: on the way to
messages they are taken off, on the way back the checks will suggest them. Rows that cannot be converted are misfits.

    table = converted(table, "chat")
"""

from helpers.errors import FormatError
from helpers.preparation.endings import style_of
from helpers.preparation.messages import message_text
from helpers.preparation.rules import kind_name, message_error
from helpers.preparation.table import Chats, Misfit, Pairs, Row, Table, as_text

KINDS = ("completion", "chat")


def converted(table: Table, kind: str) -> Table:
    """The table in the other form, or itself if it has that already. Raises FormatError where nothing can be converted."""
    if table.kind == kind:
        return table
    if not isinstance(table, Pairs) and table.kind == "preference":
        raise FormatError(f"preference rows cannot become {kind} rows: leave out --format", path=table.source.path)
    result = _to_chat(table) if isinstance(table, Pairs) else _to_pairs(table)
    if not len(result):
        first = result.misfits[0]
        raise FormatError(f"no row can become a {kind} row: {first.why}", path=table.source.path, line=first.line)
    return result


def _to_chat(table: Pairs) -> Chats:
    style = style_of(table)
    rows = [{"messages": [{"role": "user", "content": None if prompt is None else style.prompt_body(as_text(prompt))},
                          {"role": "assistant", "content": None if answer is None else style.completion_body(as_text(answer))}]}
            for prompt, answer in zip(table.prompts, table.completions, strict=True)]
    return Chats(table.source, table.lines, rows, kind="chat", groups=table.groups, misfits=table.misfits)


def _to_pairs(table: Table) -> Pairs:
    kept, pairs, misfits = [], [], list(table.misfits)
    for place, row in enumerate(table.rows()):
        pair = _pair(row)
        if isinstance(pair, str):
            misfits.append(Misfit(int(table.lines[place]), pair, str(row)))
        else:
            kept.append(place)
            pairs.append(pair)
    return Pairs(table.source, table.lines[kept], [prompt for prompt, _ in pairs], [answer for _, answer in pairs],
                 groups=None if table.groups is None else table.groups[kept], misfits=misfits)


def _pair(row: Row) -> tuple[str, str] | str:
    """The prompt and the completion of a row with one exchange, or why there are none."""
    if error := message_error(row):
        return error
    if row.get("tools") or row.get("functions"):
        return "it has tools, which a prompt cannot hold"
    roles = [message["role"] for message in row["messages"]]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"], ["developer", "user", "assistant"]):
        return f"it is no single exchange of user and assistant: {', '.join(roles)}"
    if not isinstance(row["messages"][-1].get("content"), str | list):
        return f"the answer is {kind_name(row['messages'][-1].get('content'))}: a tool call is no completion"
    *before, answer = map(message_text, row["messages"])
    return "\n\n".join(before), answer
