"""Every committed notebook keeps to the craft (scripts/check_notebooks.py holds the rules), and each rule can be broken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from check_notebooks import problems
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_tidy import tidy

PROSE = "This sentence says what the next cell does and why, so that nobody has to guess what it is good for. "


def good_notebook() -> Any:
    """The smallest notebook that nothing is wrong with."""
    opening = "# A title\n\nThe problem.\n\n**What you will be able to do**\n\n- one\n- two\n\n**Time and cost:** a minute."
    cells = [new_markdown_cell(opening), new_markdown_cell("## Setup\n\n" + PROSE), new_code_cell("import helpers")]
    for title in ("One", "Two", "Three", "Try it yourself"):
        cells += [new_markdown_cell(f"## {title}\n\n" + PROSE), new_code_cell(f"value = {title!r}\nvalue")]
    cells[-1].source = "answer = 1\nassert answer == 1"
    cells += [new_markdown_cell(PROSE), new_code_cell("assert answer > 0"),
              new_markdown_cell("## What you learned\n\n- one"), new_markdown_cell("## Where next")]
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    return tidy(notebook)


def first_code(notebook: Any) -> Any:
    return next(cell for cell in notebook.cells if cell.cell_type == "code")


def remove(notebook: Any, beginning: str) -> None:
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith(beginning)]


def swap(notebook: Any, first: int, second: int) -> None:
    notebook.cells[first], notebook.cells[second] = notebook.cells[second], notebook.cells[first]


BREAKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "long cells": (lambda n: [cell.update(source="x = 1\n" * 6) for cell in n.cells if cell.cell_type == "code"],
                   "the median code cell has 6"),
    "a very long cell": (lambda n: first_code(n).update(source="x = 1\n" * 26), "has 26 lines, more than 25"),
    "one in ten is long": (lambda n: first_code(n).update(source="x = 1\n" * 13), "one code cell in ten has 13 lines"),
    "little prose": (lambda n: [cell.update(source=cell.source.replace(PROSE, "")) for cell in n.cells], "fewer than 8 a line"),
    "cells run out of order": (lambda n: first_code(n).update(execution_count=9), "not of one run"),
    "an error": (lambda n: first_code(n).outputs.append(new_output("error", ename="KeyError", evalue="'x'", traceback=[])),
                 "ended in KeyError"),
    "a long output": (lambda n: first_code(n).outputs.append(new_output("stream", text="line\n" * 21)), "an output of 21 lines"),
    "timings in the metadata": (lambda n: first_code(n).metadata.update(execution={"iopub.status.busy": "now"}), "strips"),
    "widget state": (lambda n: n.metadata.update(widgets={"state": {}}), "strips"),
    "standard error output": (lambda n: first_code(n).outputs.append(new_output("stream", name="stderr", text="x")), "strips"),
    "no title": (lambda n: n.cells[0].update(source=n.cells[0].source[2:]), "does not begin with a title"),
    "two titles": (lambda n: n.cells[1].update(source="# Setup"), "more than one title"),
    "no summary": (lambda n: remove(n, "## What you learned"), "'what you learned' is missing"),
    "sections out of order": (lambda n: swap(n, -1, -2), "not in the order"),
    "too few sections": (lambda n: remove(n, "## One"), "there are 2 sections"),
    "too many promises": (lambda n: n.cells[0].update(source=n.cells[0].source.replace("- two", "- two\n" * 4)), "has 5 points"),
    "one exercise": (lambda n: remove(n, "assert answer > 0"), "1 cells of the exercises have an assert"),
    "code without prose": (lambda n: n.cells.insert(3, new_code_cell("x = 1")), "cell 4 has no prose before it"),
    "pip": (lambda n: first_code(n).update(source="%pip install openai"), "installs packages"),
    "a key": (lambda n: first_code(n).update(source="client = OpenAI(api_key='x')"), "handles a key"),
    "a place": (lambda n: first_code(n).update(source="read('/data/file.csv')"), "names a place"),
    "an if for CI": (lambda n: first_code(n).update(source="if CI: x = 1"), "behaves differently"),
}


def test_the_good_notebook_has_no_problems() -> None:
    assert problems(good_notebook()) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_rule_is_found(name: str) -> None:
    notebook = good_notebook()
    breaking, complaint = BREAKS[name]
    breaking(notebook)
    assert any(complaint in problem for problem in problems(notebook)), problems(notebook)


def test_a_solution_needs_no_spine_but_an_assert() -> None:
    solution = new_notebook(cells=[new_markdown_cell("# Solutions"), new_code_cell("x = 1", execution_count=1)])
    assert problems(tidy(solution), is_solution=True) == ["no exercise is checked by an assert"]


def test_a_notebook_keeps_to_the_craft(notebook_path: Path) -> None:
    assert problems(nbformat.read(notebook_path, as_version=4)) == []


def test_a_solution_keeps_to_the_craft(solution_path: Path) -> None:
    assert problems(nbformat.read(solution_path, as_version=4), is_solution=True) == []


def test_the_title_of_a_notebook_is_the_one_of_the_index(root: Path, index: list[dict[str, Any]]) -> None:
    for entry in index:
        title = nbformat.read(root / "notebooks" / entry["file"], as_version=4).cells[0].source.splitlines()[0]
        assert entry["title"].lower() in title.lower(), f"{entry['file']} is called {title!r}, in the index {entry['title']!r}"


def test_the_index_lists_every_notebook_in_order(root: Path, index: list[dict[str, Any]]) -> None:
    there = sorted(path.name for path in (root / "notebooks").glob("*.ipynb"))
    assert [entry["file"] for entry in index] == there
    assert [entry["number"] for entry in index] == [name[:2] for name in there]


def test_every_solution_belongs_to_a_notebook(root: Path, index: list[dict[str, Any]]) -> None:
    solutions = {path.name for path in (root / "notebooks" / "solutions").glob("*.ipynb")}
    assert solutions == {entry["file"] for entry in index}
