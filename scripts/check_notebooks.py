"""Holds notebooks to the craft: short cells, more prose than code, the fixed order of sections, outputs of one fresh run.

It reads what is committed and executes nothing. The tests call `problems`; an author can call it by hand.

    .venv/bin/python scripts/check_notebooks.py notebooks/00_start_here.ipynb
"""

import math
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from notebook_tidy import tidy

MEDIAN_LINES, P90_LINES, MAX_LINES = 5, 12, 25
WORDS_PER_LINE = 8
OUTPUT_LINES = 20
MAX_PROMISES = 4
SECTIONS = (3, 6)
EXERCISES = (2, 4)

OPENING = ("what you will be able to do", "time and cost", "setup")
CLOSING = ("try it yourself", "what you learned", "where next")

# What a cell must not contain, because the same cell runs for everybody, everywhere.
BANNED = (
    (r"^\s*[!%]\s*(pip|conda|uv)\b|\bpip install\b", "installs packages"),
    (r"\bsk-[A-Za-z0-9]{8,}|api_key\s*=", "handles a key"),
    (r"os\.environ|\bgetenv\(", "reads the environment"),
    (r"sys\.path|os\.chdir|^\s*%cd\b|[\"'](?:/|~/|[A-Z]:\\)[A-Za-z]", "names a place on one machine"),
    (r"^\s*if\b.*\b(CI|mock|lora)\b", "behaves differently on one machine or engine"),
)


def code_cells(notebook: Any) -> list[tuple[int, Any]]:
    """(number of the cell from 1, cell), empty ones left out."""
    return [(number, cell) for number, cell in enumerate(notebook.cells, start=1)
            if cell.cell_type == "code" and cell.source.strip()]


def code_lines(cell: Any) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def words(markdown: str) -> int:
    """Words that a reader reads: addresses of links and of pictures do not count."""
    return len(re.findall(r"[A-Za-z0-9][\w'’-]*", re.sub(r"\]\([^)]*\)", "]", markdown)))


def measures(notebook: Any) -> Iterator[str]:
    """Lines per cell, and words of prose per line of code."""
    lines = sorted(code_lines(cell) for _, cell in code_cells(notebook))
    if not lines:
        yield "there is no code"
        return
    if (median := statistics.median(lines)) > MEDIAN_LINES:
        yield f"the median code cell has {median:g} lines, more than {MEDIAN_LINES}"
    if (p90 := lines[math.ceil(0.9 * len(lines)) - 1]) > P90_LINES:
        yield f"one code cell in ten has {p90} lines or more; at most {P90_LINES}"
    for number, cell in code_cells(notebook):
        if code_lines(cell) > MAX_LINES:
            yield f"cell {number} has {code_lines(cell)} lines, more than {MAX_LINES}"
    prose = sum(words(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    if prose < WORDS_PER_LINE * sum(lines):
        yield f"{prose} words of prose for {sum(lines)} lines of code: fewer than {WORDS_PER_LINE} a line"


def one_fresh_run(notebook: Any) -> Iterator[str]:
    """Numbers 1 to n, no errors, short outputs, nothing that changes from run to run."""
    counts = [cell.execution_count for _, cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the outputs are not of one run from top to bottom: the cells are numbered {counts}"
    for number, cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {number} ended in {output.ename}: {output.evalue}"
            elif (length := output_lines(output)) > OUTPUT_LINES:
                yield f"cell {number} has an output of {length} lines, more than {OUTPUT_LINES}"
    if notebook != tidy(notebook):
        yield "it holds metadata, widget state or standard error output that `make notebooks` strips"


def output_lines(output: Any) -> int:
    """Lines of text; of a table its rows; a picture has none."""
    if output.output_type == "stream":
        return len(output.text.splitlines())
    data = output.get("data", {})
    if any(mime.startswith("image/") for mime in data):
        return 0
    if "text/html" in data:
        return data["text/html"].count("<tr") or len(re.sub(r"<[^>]+>", "", data["text/html"]).strip().splitlines())
    return len(data.get("text/plain", "").splitlines())


def landmarks(notebook: Any) -> list[tuple[int, int, str]]:
    """(number of the cell, level, title) of every heading; a bold phrase that begins a line counts as one of level 9."""
    found = []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "markdown":
            source = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
            for match in re.finditer(r"^(?:(#{1,6})\s+(.+?)\s*#*|\*\*(.+?)\*\*.*)$", source, flags=re.MULTILINE):
                title = (match[2] or match[3]).strip(" .:*").lower()
                found.append((number, len(match[1]) if match[1] else 9, title))
    return found


def spine(notebook: Any) -> Iterator[str]:
    """The fixed order: title, promise, time and cost, setup, sections, exercises, summary, where next."""
    marks = landmarks(notebook)
    if not marks or marks[0][:2] != (1, 1):
        yield "the first cell does not begin with a title (# ...)"
    if sum(level == 1 for _, level, _ in marks) > 1:
        yield "there is more than one title (# ...)"
    places = []
    for wanted in (*OPENING, *CLOSING):
        here = [index for index, (_, level, title) in enumerate(marks) if title.startswith(wanted) and (level == 9 or level == 2)]
        if not here:
            yield f"the section {wanted!r} is missing (a ## heading or a bold phrase at the start of a line)"
        else:
            places.append(here[0])
    if len(places) < len(OPENING + CLOSING):
        return
    if places != sorted(places):
        yield f"the sections are not in the order {', '.join(OPENING + CLOSING)}"
        return
    between = [title for _, level, title in marks[places[2] + 1:places[3]] if level == 2]
    if not SECTIONS[0] <= len(between) <= SECTIONS[1]:
        yield f"between setup and exercises there are {len(between)} sections (##), not {SECTIONS[0]} to {SECTIONS[1]}: {between}"
    yield from promises(notebook)
    yield from exercises(notebook, marks[places[3]][0], marks[places[4]][0])


def promises(notebook: Any) -> Iterator[str]:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    after = re.split(r"what you will be able to do.*", text, flags=re.IGNORECASE)[1]
    before_next = re.split(r"^(?:#|\*\*)", after, flags=re.MULTILINE)[0]
    points = re.findall(r"^\s*(?:[-*]|\d+\.)\s", before_next, flags=re.MULTILINE)
    if not 1 <= len(points) <= MAX_PROMISES:
        yield f"what you will be able to do has {len(points)} points, not 1 to {MAX_PROMISES}"


def exercises(notebook: Any, first: int, last: int) -> Iterator[str]:
    """Each exercise carries an assert in a code cell of its own, between the cells `first` and `last`."""
    n = sum("assert" in cell.source for number, cell in code_cells(notebook) if first <= number <= last)
    if not EXERCISES[0] <= n <= EXERCISES[1]:
        yield f"{n} cells of the exercises have an assert, not {EXERCISES[0]} to {EXERCISES[1]}"


def conduct(notebook: Any) -> Iterator[str]:
    """Prose before each code cell; nothing that runs on one machine only."""
    for number, cell in code_cells(notebook):
        if number == 1 or notebook.cells[number - 2].cell_type != "markdown":
            yield f"cell {number} has no prose before it"
        for pattern, what in BANNED:
            if found := re.search(pattern, cell.source, flags=re.MULTILINE):
                yield f"cell {number} {what}: {found[0].strip()!r}"


def problems(notebook: Any, *, is_solution: bool = False) -> list[str]:
    """All that is wrong, in sentences. A solution holds its exercises only, so it needs neither spine nor much prose."""
    rules = (one_fresh_run, conduct) if is_solution else (measures, one_fresh_run, spine, conduct)
    found = [problem for rule in rules for problem in rule(notebook)]
    if is_solution and not any("assert" in cell.source for _, cell in code_cells(notebook)):
        found.append("no exercise is checked by an assert")
    return found


def main() -> int:
    status = 0
    for name in sys.argv[1:]:
        found = problems(nbformat.read(name, as_version=4), is_solution=Path(name).parent.name == "solutions")
        print(f"{name}: {'nothing to complain of' if not found else ''}", *found, sep="\n  ")
        status = status or int(bool(found))
    return status


if __name__ == "__main__":
    sys.exit(main())
