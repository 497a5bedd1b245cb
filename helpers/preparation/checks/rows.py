"""Is every row of the file a training row? What the API refuses is an error here, row by row.

Knows the rules of rows (`rules.py`) and of files. Knows nothing of what texts say.
"""

import json

import numpy as np

from helpers.preparation.findings import Finding, Fix, excerpt, plural, quoted, the, verb
from helpers.preparation.fixes import SHOWN, difference, drop, texts_at
from helpers.preparation.look import Look
from helpers.preparation.rules import without_extras
from helpers.preparation.table import Chats, Pairs, as_text


def unreadable(look: Look) -> Finding | None:
    """Lines that are no rows at all, or rows of another kind than the others."""
    misfits = look.table.misfits
    if not misfits:
        return None
    reasons = list(dict.fromkeys(misfit.why for misfit in misfits))
    more = f", and {plural(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    return Finding(
        "unreadable-rows", "error", f"{plural(len(misfits), 'row')} cannot be used: {reasons[0]}{more}.",
        "The API refuses a file with such a row. Better than leaving them out is to put them right in the file.",
        [misfit.line for misfit in misfits],
        [f"{look.table.source.unit} {misfit.line}: {misfit.why}" for misfit in misfits[:3]],
        Fix(f"Leave out {the(len(misfits), 'row')}.", look.table.leave_out_misfits,
            lambda: [(misfit.line, misfit.text[:60] or misfit.why, None) for misfit in misfits[:3]], needed=True))


def repairs(look: Look) -> Finding | None:
    """What reading had to put right before there were rows."""
    source = look.table.source
    sentences = list(source.repairs)
    if source.prompt_columns not in ([], ["prompt"]) or source.completion_column not in ("", "completion"):
        prompt = " and ".join(map(quoted, source.prompt_columns)) or "Nothing"
        sentences.append(f"{prompt} is taken as the prompt, {quoted(source.completion_column)} as the completion.")
    if not sentences:
        return None
    return Finding("file-form", "error" if source.as_it_stands else "advice", " ".join(sentences),
                   "The API takes JSON Lines in UTF-8 alone, with the fields prompt and completion, or messages.",
                   by_writing="The prepared file has the form that the API takes.")


def left_out(look: Look) -> Finding | None:
    """Columns besides prompt and completion."""
    source, names = look.table.source, look.table.source.left_out
    if not names:
        return None
    named = ", ".join(map(quoted, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return Finding("extra-columns", "error" if source.as_it_stands else "advice",
                   f"{verb(len(names), 'The column', 'The columns')} {named} {verb(len(names), 'is', 'are')} neither prompt "
                   "nor completion.", "The API refuses rows with other fields.", source.left_out_lines,
                   by_writing="The prepared file holds prompt and completion alone.")


def extra_fields(look: Look) -> Finding | None:
    """Fields of rows or messages that the API does not know."""
    table = look.table
    if not isinstance(table, Chats):
        return None
    found = {place: names for place, row in enumerate(table.rows()) if (names := without_extras(row)[1])}
    if not found:
        return None
    names = sorted({name for some in found.values() for name in some})

    def apply() -> None:
        for place in found:
            table.content[place] = without_extras(table.content[place])[0]
        table.changed()

    places = np.array(list(found))
    return Finding("extra-fields", "error",
                   f"{plural(len(found), 'row has', 'rows have')} fields that the API does not know: "
                   f"{', '.join(map(quoted, names[:8]))}.", "The API refuses rows with other fields.", table.lines[places],
                   fix=Fix("Remove these fields.", apply, lambda: [
                       (int(table.lines[place]), *difference(_json(row := table.row(place)), _json(without_extras(row)[0])))
                       for place in list(found)[:SHOWN]]))


def message_errors(look: Look) -> Finding | None:
    """Rows of messages that the API refuses."""
    table = look.table
    if not isinstance(table, Chats):
        return None
    errors = {place: error for place, error in enumerate(table.errors()) if error}
    if not errors:
        return None
    places = np.array(list(errors))
    shown = [f"{table.source.unit} {table.lines[place]}: {error}" for place, error in list(errors.items())[:3]]
    return Finding("message-errors", "error",
                   f"{plural(len(errors), 'row is', 'rows are')} not as the API takes messages.",
                   "The API refuses the whole file for one such row.", table.lines[places], shown,
                   drop(look, places, f"Drop {the(len(errors), 'row')}.", list(errors.values())))


def missing_values(look: Look) -> Finding | None:
    """Rows without a prompt or without a completion: null, or no such field."""
    table = look.table
    if not isinstance(table, Pairs):
        return None
    places = np.flatnonzero(~look.sound)
    if not len(places):
        return None
    return Finding("missing-values", "error",
                   f"{plural(len(places), 'row has', 'rows have')} no prompt or no completion: the field is missing or null.",
                   "The API refuses a file with such a row. An empty prompt is written \"\".", table.lines[places],
                   fix=drop(look, places, f"Drop {the(len(places), 'row')}.", "a field is missing"))


def values(look: Look) -> Finding | None:
    """Prompts and completions that are numbers, booleans, lists or dictionaries."""
    table = look.table
    if not isinstance(table, Pairs):
        return None
    if all(map(table.is_text, table.fields)):
        return None
    wrong = {name: [place for place, value in enumerate(column) if value is not None and value.__class__ is not str]
             for name, column in table.columns.items()}
    places = np.unique([place for some in wrong.values() for place in some]).astype(int)
    if not len(places):
        return None

    def apply() -> None:
        for name, some in wrong.items():
            for place in some:
                table.columns[name][place] = as_text(table.columns[name][place])
        table.changed()

    met = [(name, place) for name, some in wrong.items() for place in some[:2]]
    cells = [(int(table.lines[place]), table.columns[name][place]) for name, place in met[:3]]
    preview = [(line, _json(cell)[:60], excerpt(as_text(cell))) for line, cell in cells]
    return Finding("not-text", "error", f"{plural(len(places), 'row has', 'rows have')} a value that is no text.",
                   "The API refuses prompts and completions that are numbers, booleans, lists or dictionaries.",
                   table.lines[places], [before for _, before, _ in preview],
                   Fix("Write these values as text.", apply, lambda: preview))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def no_answer(look: Look) -> Finding | None:
    """Completions that are empty, or nothing but space and stop sequence."""
    if look.pairs is None:
        return None
    places = np.flatnonzero(look.sound & ~look.answered)
    if not len(places):
        return None
    return Finding("empty-completions", "error",
                   f"{plural(len(places), 'row has', 'rows have')} an empty completion.",
                   "There is nothing to learn from it, and the API refuses a file with an empty completion.",
                   look.table.lines[places], texts_at(look.pairs.prompts, places),
                   drop(look, places, f"Drop {the(len(places), 'row')}.", "its completion is empty"))


def no_question(look: Look) -> Finding | None:
    """Empty prompts among others that are not."""
    if look.pairs is None or look.task == "open-ended":
        return None
    places = np.flatnonzero(look.kept & (look.question_keys == 0))
    if not len(places):
        return None
    return Finding("empty-prompts", "warning", f"{plural(len(places), 'row has', 'rows have')} an empty prompt.",
                   "Most rows have one: the model would learn to answer nothing in particular.", look.table.lines[places],
                   texts_at(look.pairs.completions, places),
                   drop(look, places, f"Drop {the(len(places), 'row')}.", "its prompt is empty", recommended=False))
