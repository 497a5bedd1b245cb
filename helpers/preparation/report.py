"""What the preparation tool shows: findings for people (rich) and for programs (a dictionary for JSON).

Knows findings, tables and the width of a terminal. Decides nothing.

    show_findings(console, table, outcome)
    overview(inspect(table))                      # for a notebook
    json.dumps(as_dict(table, outcome, ...))
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as Grid

from helpers.preparation.advice import NextSteps
from helpers.preparation.findings import SEVERITIES, Finding, name_lines, plural
from helpers.preparation.look import TASKS
from helpers.preparation.pipeline import Outcome
from helpers.preparation.table import Table
from helpers.tokens import Estimate

COLOURS = {"error": "bold red", "warning": "yellow", "advice": "cyan"}
REASONS = 12  # that are shown, of those for which rows were dropped
ROWS = {"completion": "prompt-completion rows", "chat": "chat rows", "preference": "preference rows"}


def overview(findings: Sequence[Finding], unit: str = "line") -> pd.DataFrame:
    """Findings as a table, a row for each: how grave, its name, where, what was met; and whether its fix is suggested."""
    def advised(finding: Finding) -> str:
        if finding.fix is None:
            return "by writing" if finding.by_writing else ""
        return "suggested" if finding.fix.recommended else "on request"

    return pd.DataFrame([{"severity": finding.severity, "kind": finding.kind, "where": name_lines(finding.lines, unit),
                          "what": finding.what, "fix": advised(finding)} for finding in findings])


def show_source(console: Console, table: Table, task: str) -> None:
    """One line: what was read, and what it seems to be for."""
    source = table.source
    form = f"{source.format}, sheet {source.sheet!r}" if source.sheet else source.format
    form += f" in {source.encoding}" if source.encoding and source.encoding != "utf-8" else ""
    console.print(f"[bold]{escape(source.path.name)}[/] ({escape(form)}): {plural(table.rows_read, 'row')} of "
                  f"{ROWS[table.kind].removesuffix(' rows')} data; the task seems to be [bold]{TASKS[task]}[/].")
    if source.other_sheets:
        console.print(f"Other sheets: {escape(', '.join(map(repr, source.other_sheets)))}; choose one with --sheet.")
    for note in source.notes:
        console.print(escape(note))
    console.print()


def show_findings(console: Console, table: Table, outcome: Outcome) -> None:
    """All findings, the grave ones first; with what was done about them already."""
    for severity in SEVERITIES:
        for finding in outcome.findings:
            if finding.severity == severity:
                _show(console, finding, table, done=finding.kind in outcome.applied)


def _show(console: Console, finding: Finding, table: Table, *, done: bool) -> None:
    grid = Grid.grid(padding=(0, 1), expand=False)
    grid.add_column(width=7, style=COLOURS[finding.severity], no_wrap=True)
    grid.add_column(ratio=1)
    where = "" if len(finding.lines) == table.rows_read else name_lines(finding.lines, table.source.unit)
    grid.add_row(finding.severity, f"{escape(finding.what)}" + (f" [bold]{where[0].upper()}{where[1:]}.[/]" if where else ""))
    grid.add_row("", f"[dim]{escape(finding.why)}[/]")
    for example in finding.examples:
        grid.add_row("", f"[dim]e.g.[/] {escape(example)}")
    if finding.fix is not None:
        advised = "done" if done else "suggested" if finding.fix.recommended else "not done unless you ask for it"
        grid.add_row("", f"[green]→ {escape(finding.fix.what)}[/] [dim]({advised}: {finding.kind})[/]")
    elif finding.by_writing:
        grid.add_row("", f"[green]→ {escape(finding.by_writing)}[/]")
    console.print(Padding(grid, (0, 0, 1, 0)))


def show_preview(console: Console, finding: Finding, unit: str) -> None:
    """What a fix would do to a few rows."""
    for line, before, after in finding.fix.preview() if finding.fix else ():
        result = "  [dim](dropped)[/]" if after is None else f"\n    [green]+ {escape(after)}[/]"
        console.print(f"  {unit} {line}\n    [red]- {escape(before)}[/]{result}")


def show_account(console: Console, table: Table) -> None:
    """Rows read, dropped and left: none is missing."""
    if not table.dropped:
        console.print(f"{plural(table.rows_read, 'row')} read, none dropped.")
        return
    console.print(f"{plural(table.rows_read, 'row')} read, {len(table.dropped):,} dropped, {len(table):,} left:")
    reasons = dropped_by_reason(table)
    for why, lines in list(reasons.items())[:REASONS]:
        where = name_lines(lines, table.source.unit)
        console.print(Padding(f"{len(lines):,} dropped: {escape(why)} [dim]({where})[/]", (0, 0, 0, 2), expand=False))
    if rest := list(reasons.values())[REASONS:]:
        console.print(f"  {sum(map(len, rest)):,} dropped for {plural(len(rest), 'other reason')}; --json names them all.")


def dropped_by_reason(table: Table) -> dict[str, list[int]]:
    by_reason = sorted(table.dropped, key=lambda drop: drop[1])
    return {why: sorted(line for line, _ in drops) for why, drops in groupby(by_reason, key=lambda drop: drop[1])}


def as_dict(table: Table, outcome: Outcome) -> dict[str, Any]:
    """What was found and done, for programs. Lines are those of the input."""
    source = table.source
    return {
        "file": str(source.path), "format": source.format, "encoding": source.encoding or None, "sheet": source.sheet or None,
        "lines_count": source.unit, "notes": source.notes, "kind": table.kind, "task": outcome.task, "rows_read": table.rows_read,
        "rows_left": len(table), "dropped": [{"line": line, "why": why} for line, why in sorted(table.dropped)],
        "findings": [_finding(finding, outcome) for finding in outcome.findings],
        "errors_remaining": [finding.kind for finding in outcome.errors]}


def _finding(finding: Finding, outcome: Outcome) -> dict[str, Any]:
    fix = finding.fix and {"what": finding.fix.what, "recommended": finding.fix.recommended}
    return {"kind": finding.kind, "severity": finding.severity, "what": finding.what, "why": finding.why,
            "lines": [int(line) for line in finding.lines], "examples": list(finding.examples), "fix": fix,
            "by_writing": finding.by_writing or None, "applied": finding.kind in outcome.applied or bool(finding.by_writing)}


def show_steps(console: Console, steps: NextSteps, size: Estimate | None, *, ready: bool = True) -> None:
    """How much there is to train on, and what to run next, once it is `ready`."""
    if size is not None:
        about = "" if size.exact else "About "
        console.print(f"\n{about}{size.tokens:,} tokens, the longest row {size.longest:,}; {size.trained_tokens:,} to "
                      f"train on in {plural(int(steps.hyperparameters['n_epochs']), 'epoch')}.")
    console.print("\nTrain on it:" if ready else "\nWhen they are mended, train on it:")
    # Unbroken, so that it can be copied.
    console.print(f"  [bold]{escape(steps.command)}[/]", soft_wrap=True)
    console.print("or in Python:")
    for line in steps.python.splitlines():
        console.print(f"  {escape(line)}", soft_wrap=True)
    if steps.reminders:
        console.print("\nWhen you use the model:")
    for reminder in steps.reminders:
        console.print(f"  {escape(reminder)}")


def steps_as_dict(paths: Sequence[Path], steps: NextSteps | None, size: Estimate | None) -> dict[str, Any]:
    """What was written and what to run next, for programs."""
    return {"written": [str(path) for path in paths],
            "tokens": size and {"per_epoch": size.tokens, "longest": size.longest, "to_train_on": size.trained_tokens,
                                "exact": size.exact},
            "next": steps and {"hyperparameters": steps.hyperparameters, "command": steps.command, "python": steps.python,
                               "reminders": steps.reminders}}
