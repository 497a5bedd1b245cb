"""One run of `cookbook prepare-data`: read, report, ask, put right, write, tell what next.

Knows the order of things and the exit status. Knows nothing of how checks are made.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from helpers.commands.asking import Asker, Left
from helpers.commands.progress import Bar
from helpers.errors import CookbookError
from helpers.preparation import report
from helpers.preparation.advice import NextSteps, next_steps, size_of
from helpers.preparation.columns import ColumnsUnclear
from helpers.preparation.convert import converted
from helpers.preparation.findings import name_lines, plural
from helpers.preparation.limits import limit_of
from helpers.preparation.look import Options
from helpers.preparation.pipeline import Agree, Outcome, by_name, every_suggestion, prepare
from helpers.preparation.reading import read
from helpers.preparation.splitting import split
from helpers.preparation.table import Table
from helpers.preparation.writing import output_paths, write
from helpers.sheets import sheet_names
from helpers.tokens import Estimate

FINE, ERRORS, UNREADABLE, INTERRUPTED = 0, 1, 2, 130
ENOUGH_TO_SPLIT = 50  # rows; of fewer, a fifth tells nothing


@dataclass(frozen=True, slots=True)
class Request:
    """The options of the command."""

    file: Path
    prompt: list[str]
    completion: str | None
    sheet: str | None
    encoding: str | None
    group: str | None
    out: Path | None
    form: str | None
    split: bool | None
    seed: int
    quiet: bool
    fixes: list[str]
    as_json: bool
    model: str
    max_tokens: int | None
    quick: bool

    @property
    def asks(self) -> bool:
        return not (self.quiet or self.fixes or self.as_json)

    @property
    def writes(self) -> bool:
        return not self.as_json or self.quiet or bool(self.fixes)


class Session:
    """The conversation with one user about one file."""

    def __init__(self, request: Request) -> None:
        self.request = request
        # With --json, standard output belongs to the program that reads it.
        self.console = Console(highlight=False, quiet=request.as_json)
        self.asker, self.bar = Asker(self.console), Bar()
        self.options = Options(request.model, request.max_tokens or limit_of(request.model), request.quick)

    def run(self) -> int:
        """The exit status. Whatever can be wrong with a file is told in a sentence."""
        status = UNREADABLE
        try:
            table = self._read()
            status = ERRORS
            return self._work(table)
        except (CookbookError, OSError, Left) as error:
            if isinstance(error, Left) and not str(error) and not self.request.as_json:  # as the user wished: no error
                self.console.print("Nothing was written.")
                return status
            message = f"{error.filename}: {error.strerror}." if isinstance(error, OSError) and error.filename else str(error)
            return self._refuse(f"{message} Nothing was written.".strip() if status == ERRORS else message, status)
        except KeyboardInterrupt:
            return self._refuse("Interrupted. Nothing was written.", INTERRUPTED)

    def _refuse(self, message: str, status: int) -> int:
        if self.request.as_json:
            print(json.dumps({"error": message}, ensure_ascii=False))
        else:
            Console(stderr=True, highlight=False).print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
        return status

    def _read(self) -> Table:
        asked, prompt, completion = self.request, list(self.request.prompt), self.request.completion
        sheet = asked.sheet
        if asked.asks and sheet is None and asked.file.suffix.lower() == ".xlsx" and len(names := sheet_names(asked.file)) > 1:
            sheet = self.asker.sheet(names)
        while True:
            try:
                with self.bar.reading(asked.file) as progress:
                    table = read(asked.file, sheet=sheet, encoding=asked.encoding, prompt=prompt, completion=completion,
                                 group=asked.group, progress=progress)
                return converted(table, asked.form) if asked.form else table
            except ColumnsUnclear as unclear:
                if not asked.asks:
                    raise
                prompt, completion = self.asker.columns(unclear, prompt, completion)

    def _work(self, table: Table) -> int:
        unit = table.source.unit
        agree: Agree | None = lambda finding: self.asker.about(finding, unit)  # noqa: E731 (one of three)
        if not self.request.asks:
            agree = every_suggestion if self.request.quiet else by_name(self.request.fixes)
        with self.bar.checking() as progress:
            outcome = prepare(table, self.options, progress=progress,
                              agree=agree if self.request.writes and not self.request.asks else None)
        report.show_source(self.console, table, outcome.task)
        report.show_findings(self.console, table, outcome)
        if self.request.asks:
            outcome = prepare(table, self.options, agree=agree)
        for name in sorted(set(self.request.fixes) - outcome.applied):
            self.console.print(f"There was nothing to fix under the name {escape(repr(name))}.")
        return self._finish(table, outcome)

    def _finish(self, table: Table, outcome: Outcome) -> int:
        """Write what is left, say what was done and what to do next."""
        paths, steps, size = [], None, None
        if self.request.writes:
            paths = self._write(table, outcome)
            steps = next_steps(outcome.look, paths, model=self.request.model)
            size = None if self.request.quick else size_of(table, self.request.model, int(steps.hyperparameters["n_epochs"]))
        if self.request.as_json:
            print(json.dumps(report.as_dict(table, outcome) | report.steps_as_dict(paths, steps, size), ensure_ascii=False,
                             indent=2))
        elif steps:
            self._tell(outcome, steps, size)
        return ERRORS if outcome.errors else FINE

    def _write(self, table: Table, outcome: Outcome) -> list[Path]:
        if outcome.refused:
            raise Left(f"{outcome.refused[0].what} No training file can hold such rows.")
        if not len(table):
            reasons = [f"{why} ({name_lines(lines, table.source.unit)})"
                       for why, lines in report.dropped_by_reason(table).items()]
            raise Left(f"No row is left: {'; '.join(reasons[:3])}{'; and more' if len(reasons) > 3 else ''}.")
        wanted = self._wants_split(table, outcome)
        places = split(outcome.look, seed=self.request.seed) if wanted else [None]
        paths = output_paths(self.request.file, self.request.out, split=wanted)
        there = [path for path in paths if path.exists()]
        if there and self.request.asks and not self.asker.yes(f"{there[0].name} exists already. Replace it?"):
            raise Left("Give another name with --out.")
        report.show_account(self.console, table)
        for path, some in zip(paths, places, strict=True):
            write(table, path, some)
            rows = plural(len(table) if some is None else len(some), "row")
            self.console.print(f"Written: [bold]{escape(str(path))}[/] ({rows})", soft_wrap=True)
        return paths

    def _wants_split(self, table: Table, outcome: Outcome) -> bool:
        suggested = outcome.task == "classification" and len(table) >= ENOUGH_TO_SPLIT
        if self.request.split is not None or not suggested or not self.request.asks:
            return suggested if self.request.split is None else self.request.split
        return self.asker.yes("Split it into a training and a validation file, so that you can see how good the model is?")

    def _tell(self, outcome: Outcome, steps: NextSteps, size: Estimate | None) -> None:
        if outcome.errors:
            self.console.print("\n[bold red]Errors remain:[/] the API will refuse this file.")
            for finding in outcome.errors:
                self.console.print(f"  {escape(finding.what)} {escape(finding.why)}")
        report.show_steps(self.console, steps, size, ready=not outcome.errors)
