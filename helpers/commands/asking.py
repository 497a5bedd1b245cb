"""Questions on a terminal, and what the answers mean.

Knows how to ask about findings, columns and yes or no. Knows nothing of files.
"""

from rich.console import Console
from rich.markup import escape

from helpers.preparation.columns import ColumnsUnclear
from helpers.preparation.findings import Finding, name_lines
from helpers.preparation.report import show_preview

HELP = "y: yes, n: no, ?: show what would change, a: yes to all suggestions from here on, q: leave without writing"


class Left(Exception):
    """The user does not want to go on, or cannot; the message says why, if there is a reason to give."""


class Asker:
    """Asks on one console. `take_all`: the user has had enough of questions, and takes every suggestion."""

    def __init__(self, console: Console) -> None:
        self.console, self.take_all = console, False

    def about(self, finding: Finding, unit: str) -> bool:
        """What the user says to the fix of a finding."""
        fix = finding.fix
        if fix is None:
            raise ValueError(f"the finding {finding.kind} has no fix to ask about")
        if self.take_all:
            return fix.recommended
        where = f" {name_lines(finding.lines, unit).capitalize()}." if len(finding.lines) else ""
        self.console.print(f"[bold]{escape(finding.what)}[/][dim]{where}[/]")
        while True:
            match self.line(f"  {fix.what.removesuffix('.')}? {'[Y/n/?/a/q]' if fix.recommended else '[y/N/?/a/q]'} ").lower():
                case "":
                    return fix.recommended
                case "y" | "yes":
                    return True
                case "n" | "no":
                    return False
                case "?":
                    show_preview(self.console, finding, unit)
                case "a" | "all":
                    self.take_all = True
                    return fix.recommended
                case "q" | "quit":
                    raise Left
                case _:
                    self.console.print(f"  {HELP}")

    def yes(self, question: str) -> bool:
        """Yes or no; yes if all suggestions are taken."""
        while not self.take_all:
            answer = self.line(f"{question} [Y/n] ").lower()
            if answer in ("", "y", "yes", "n", "no"):
                return not answer.startswith("n")
            self.console.print("  y: yes, n: no")
        return True

    def columns(self, unclear: ColumnsUnclear, prompt: list[str], completion: str | None) -> tuple[list[str], str]:
        """The prompt and the completion column, of those that a file has."""
        self.console.print("The file has these columns:")
        for number, name in enumerate(unclear.names, 1):
            self.console.print(f"  {number}  {escape(name)}")
        prompt = prompt or [self._column("Which one is the prompt, what the model reads?", unclear)]
        return prompt, completion or self._column("Which one is the completion, what it learns to answer?", unclear)

    def sheet(self, names: list[str]) -> str:
        """One of the sheets of a file that has several."""
        self.console.print("The file has these sheets:")
        for number, name in enumerate(names, 1):
            self.console.print(f"  {number}  {escape(name)}")
        return self._one_of(names, "Which one has the rows?", "sheet")

    def _column(self, question: str, unclear: ColumnsUnclear) -> str:
        return self._one_of(unclear.names, question, "column")

    def _one_of(self, names: list[str], question: str, what: str) -> str:
        while True:
            answer = self.line(f"{question} (number or name) ")
            if answer in names:
                return answer
            if answer.isdecimal() and 1 <= int(answer) <= len(names):
                return names[int(answer) - 1]
            self.console.print(f"  Give a number from 1 to {len(names)}, or the name of a {what}.")

    def line(self, question: str) -> str:
        """One line of an answer, without the space around it."""
        try:
            return self.console.input(escape(question)).strip()
        except EOFError:
            self.console.print()
            raise Left("There is nobody to answer: take every suggestion with -q, or some with --fix NAME.") from None
