"""Rows made by the dozen, with nothing wrong with them, for tests to spoil."""

import json
from pathlib import Path
from typing import Any

from helpers.preparation import Options, Pairs, Table, prepare
from helpers.preparation.table import Source

WORDS = ["where", "when", "how", "which", "why", "who", "what", "whose", "whom", "whether"]


def pairs(number: int = 12, **changes: Any) -> list[dict[str, Any]]:
    """So many prompt-completion rows of two classes, nothing wrong with them but for `changes` to each."""
    return [{"prompt": f"{WORDS[n % 10]} is the {'abcdefghij'[n // 10 % 10] * (n + 3)} one?\n\n###\n\n",
             "completion": (" yes", " no")[n % 2]} | changes for n in range(number)]


def chats(number: int = 12) -> list[dict[str, Any]]:
    return [{"messages": [{"role": "user", "content": row["prompt"].split("\n")[0]},
                          {"role": "assistant", "content": f"It is {'xyz'[n % 3] * (n + 1)}, as far as I can tell."}]}
            for n, row in enumerate(pairs(number))]


def preferences(number: int = 12) -> list[dict[str, Any]]:
    return [{"input": {"messages": row["messages"][:1]}, "preferred_output": row["messages"][1:],
             "non_preferred_output": [{"role": "assistant", "content": "No idea."}]} for row in chats(number)]


def table_of(rows: list[dict[str, Any]]) -> Pairs:
    """Prompt-completion rows in memory, one a line."""
    return Pairs(Source(Path("made.jsonl"), "JSONL", as_it_stands=True), range(1, len(rows) + 1),
                 [row.get("prompt") for row in rows], [row.get("completion") for row in rows])


def jsonl(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def kinds(table: Table, options: Options | None = None, severity: str = "") -> set[str]:
    """The names of all that is found, or of what is found of one severity."""
    return {finding.kind for finding in prepare(table, options, agree=None).findings if severity in ("", finding.severity)}
