"""All checks in order: to look only, or to put right what the caller agrees to.

Knows checks and findings; who agrees, and how that is asked, is the caller's.

    findings = inspect(table)
    outcome = prepare(table, agree=lambda finding: finding.fix.recommended)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from helpers.preparation.checks import CHECKS, THOROUGH, Check
from helpers.preparation.findings import Finding
from helpers.preparation.look import Look, Options
from helpers.preparation.table import Table

Agree = Callable[[Finding], bool]
Progress = Callable[[int, int], None]  # is told how many checks are done, of how many


@dataclass(slots=True)
class Outcome:
    """What was found while preparing, in the order of the checks, and what was done about it."""

    look: Look
    findings: list[Finding] = field(default_factory=list)
    applied: set[str] = field(default_factory=set)  # kinds

    @property
    def task(self) -> str:
        """As guessed from the rows: a key of TASKS."""
        return self.look.task

    @property
    def remaining(self) -> list[Finding]:
        """Findings that still hold for the result."""
        return [finding for finding in self.findings if finding.kind not in self.applied and not finding.by_writing]

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.remaining if finding.severity == "error"]

    @property
    def refused(self) -> list[Finding]:
        """Findings whose fix was declined although without it nothing can be written."""
        return [finding for finding in self.remaining if finding.fix and finding.fix.needed]


def every_suggestion(finding: Finding) -> bool:
    """Agree to what is recommended, and to nothing else."""
    return finding.fix is not None and finding.fix.recommended


def by_name(names: Sequence[str]) -> Agree:
    """Agree to the fixes of the findings with these names, recommended or not."""
    return lambda finding: finding.kind in names


def inspect(table: Table, options: Options | None = None, *, progress: Progress = lambda done, of: None) -> list[Finding]:
    """All that is to be said about a table as it is. Nothing is changed."""
    return prepare(table, options, agree=None, progress=progress).findings


def prepare(table: Table, options: Options | None = None, *, agree: Agree | None = every_suggestion,
            progress: Progress = lambda done, of: None) -> Outcome:
    """Check after check, each on what the fixes before it have left; a fix that is agreed to is applied at once.

    `agree` None: no fix is applied, and none is taken for declined.
    """
    look = Look(table, options or Options())
    outcome = Outcome(look)
    checks = _checks(look.options)
    for done, check in enumerate(checks):
        progress(done, len(checks))
        finding = check(look)
        if finding is None:
            continue
        outcome.findings.append(finding)
        if finding.fix is not None and agree is not None:
            if agree(finding):
                finding.fix.apply()
                outcome.applied.add(finding.kind)
            else:
                look.leave(finding.kind)
    progress(len(checks), len(checks))
    return outcome


def _checks(options: Options) -> tuple[Check, ...]:
    if options.quick:
        return CHECKS
    # Statistics come last: they are said of what is left.
    return (*CHECKS[:-2], *THOROUGH, *CHECKS[-2:])
