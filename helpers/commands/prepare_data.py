"""`cookbook prepare-data`: from a table to a training file, with a question before every change.

Knows the options and how to ask. What is checked and changed is in `helpers/preparation/`.

    cookbook prepare-data -f tickets.csv
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    CHAT = "chat"
    COMPLETION = "completion"


FILE, OUTPUT, DECISIONS, CHECKS = "The file", "The result", "Who decides", "The checks"


def prepare_data(
    file: Annotated[Path, typer.Option("-f", "--file", help="CSV, TSV, XLSX, JSON, JSONL or TXT. It is never changed.",
                                       rich_help_panel=FILE)],
    prompt_column: Annotated[list[str] | None, typer.Option(
        help="The column of the prompts. Given twice: one text below the other.", rich_help_panel=FILE)] = None,
    completion_column: Annotated[str | None, typer.Option(help="The column of the completions.", rich_help_panel=FILE)] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of an XLSX file. Left out: you are asked; with -q the first.",
                                              rich_help_panel=FILE)] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as cp1252. Left out: found out.", rich_help_panel=FILE)] = None,
    group_column: Annotated[str | None, typer.Option(
        help="Rows with the same value here, of one conversation say, stay on one side of the split.",
        rich_help_panel=FILE)] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write. Left out: NAME_prepared.jsonl beside the file.",
                                             rich_help_panel=OUTPUT)] = None,
    form: Annotated[Form | None, typer.Option("--format", help="Convert to chat rows, or to prompt-completion rows.",
                                              rich_help_panel=OUTPUT)] = None,
    split: Annotated[bool | None, typer.Option(
        help="Write a training and a validation file. Left out: for classification.", rich_help_panel=OUTPUT)] = None,
    seed: Annotated[int, typer.Option(help="Chooses the rows of the split: the same seed, the same rows.",
                                      rich_help_panel=OUTPUT)] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Ask nothing: take every suggestion.",
                                        rich_help_panel=DECISIONS)] = False,
    fix: Annotated[list[str] | None, typer.Option(
        help="Ask nothing: apply this fix alone, by the name in the report. May be given several times.",
        rich_help_panel=DECISIONS)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs and ask nothing. Writes with -q or --fix only.",
                                          rich_help_panel=DECISIONS)] = False,
    model: Annotated[str, typer.Option("-m", "--model", help="The model to fine-tune: whose limit and tokens count. "
                                       "Left out: 2,048 tokens.", rich_help_panel=CHECKS)] = "",
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens of a row, prompt and completion together.",
                                                   rich_help_panel=CHECKS)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only the checks of the old tool: for very long files.",
                                        rich_help_panel=CHECKS)] = False,
) -> None:
    """Turn a messy table into a training file.

    The tool reads FILE, says what would spoil a fine-tune and why, and suggests a fix for each, which you accept or refuse.
    Lines are those of your file. The result is written as JSONL beside it, as it can be uploaded, with the command to run next.

    Answers: y takes a suggestion, n refuses it, ? shows what it would change, a takes all suggestions from here on, q leaves
    without writing.

    Exit status: 0 all is well, 1 errors remain or nothing was written, 2 the file cannot be read.
    """
    from helpers.commands.prepare_session import Request, Session

    if quiet and fix:
        raise typer.BadParameter("takes every suggestion, --fix only those named: give one of the two", param_hint="-q")
    request = Request(
        file=file, prompt=prompt_column or [], completion=completion_column, sheet=sheet, encoding=encoding, group=group_column,
        out=out, form=form and form.value, split=split, seed=seed, quiet=quiet, fixes=fix or [], as_json=as_json, model=model,
        max_tokens=max_tokens, quick=quick)
    raise typer.Exit(Session(request).run())
