"""The case studies take data of one's own: three lines are changed, as their last sections say, and they run to the end."""

import itertools
import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from run_notebook import execute

pytestmark = pytest.mark.notebook

PEOPLE = ("Ada Berg", "Tomas Ruiz", "Ines Falk", "Omar Haddad", "Lena Vogt")
PLACES = ("Lisbon", "Tromsø", "Graz", "Quito")
THINGS = ("kettle", "bench", "lamp")


def ads() -> pd.DataFrame:
    return pd.DataFrame([{"body": f"The {place} {thing} was made by {person} in {place}. It is {number} centimetres tall.",
                          "slogan": f"Come home to the {place} {thing}.", "title": f"{place} {thing}"}
                         for number, (person, place, thing) in enumerate(itertools.product(PEOPLE, PLACES, THINGS), 1)])


def entities() -> pd.DataFrame:
    found = [{"message": f"{person} brought a {thing} to {place}.", "names": f"{person}; {place}"}
             for person, place, thing in itertools.product(PEOPLE, PLACES, THINGS)]
    return pd.DataFrame([*found, *({"message": f"The {thing} is broken.", "names": ""} for thing in THINGS)])


def conversations() -> pd.DataFrame:
    return pd.DataFrame([{"nr": number, "record": {"Item": thing, "Sent to": place, "Number": f"N-{number}"}, "talk": [
        {"speaker": "customer", "text": f"Hello, where is my {thing}?"},
        {"speaker": "agent", "text": f"It was sent to {place}.", "summary": f"Customer asks for a {thing}."},
        {"speaker": "customer", "text": "And its number?"},
        {"speaker": "agent", "text": f"It is N-{number}.", "summary": f"Sent to {place}; customer asks for its number."}]}
        for number, (person, place, thing) in enumerate(itertools.product(PEOPLE, PLACES, THINGS), 1)])


# Of each notebook: a file, the table in it, and three lines with what they become.
CASES = {
    "notebooks/02_case_study_ads.ipynb": ("mine.csv", ads, {
        'data = dataset("ads")': 'data = pd.read_csv("mine.csv")',
        'ARTICLE, AD, NAME = "article", "ad", "name"': 'ARTICLE, AD, NAME = "body", "slogan", "title"',
        "HELD_OUT, TRAIN = 40, 350": "HELD_OUT, TRAIN = 12, 40"}),
    "notebooks/03_case_study_entities.ipynb": ("mine.csv", entities, {
        'data = dataset("entities")': 'data = pd.read_csv("mine.csv")',
        'TEXT, ENTITIES = "text", "entities"': 'TEXT, ENTITIES = "message", "names"',
        "SIZES, HELD_OUT = [50, 100, 200, 400], 50": "SIZES, HELD_OUT = [10, 20, 40], 12"}),
    "notebooks/04_case_study_chatbot.ipynb": ("mine.jsonl", conversations, {
        'data = dataset("support")': 'data = pd.read_json("mine.jsonl", lines=True)',
        'ID, TURNS, FACTS = "id", "turns", "facts"': 'ID, TURNS, FACTS = "nr", "talk", "record"',
        "HELD_OUT, TRAIN = 40, 280": "HELD_OUT, TRAIN = 12, 60"}),
}


def with_lines(notebook: nbformat.NotebookNode, changes: dict[str, str]) -> nbformat.NotebookNode:
    """The notebook with whole lines changed, each of which must stand in it just once."""
    for old, new in changes.items():
        places = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source.splitlines()]
        assert len(places) == 1, f"{old!r} stands in {len(places)} cells"
        places[0].source = "\n".join(new if line == old else line for line in places[0].source.splitlines())
    return notebook


@pytest.mark.parametrize("name", CASES)
def test_a_case_study_runs_on_data_of_ones_own(root: Path, tmp_path: Path, name: str) -> None:
    file, table, changes = CASES[name]
    assert len(changes) == 3
    if file.endswith(".csv"):
        table().to_csv(tmp_path / file, index=False)
    else:
        lines = [json.dumps(row) for row in table().to_dict("records")]
        (tmp_path / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    notebook = tmp_path / Path(name).name
    nbformat.write(with_lines(nbformat.read(root / name, as_version=4), changes), notebook)
    executed, failure = execute(notebook, "mock")
    assert failure is None, failure
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")


def test_a_line_that_is_not_there_is_told() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    with pytest.raises(AssertionError, match="'y = 2' stands in 0 cells"):
        with_lines(notebook, {"y = 2": "y = 3"})
