"""How prompts and completions begin, end and are written: separator, stop sequence, leading space, capitals, repeated beginnings.

For prompt-completion rows alone: in rows of messages the roles do all this. Knows markers through `endings.py`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from helpers.preparation.characters import clean
from helpers.preparation.endings import SEPARATORS, STOPS, free_marker, is_misplaced
from helpers.preparation.findings import Finding, excerpt, plural, quoted
from helpers.preparation.fixes import edit, texts_at
from helpers.preparation.look import Look
from helpers.preparation.table import as_text


def capitals(field: str) -> Callable[[Look], Finding | None]:
    """The check of one field for texts in capitals."""
    def check(look: Look) -> Finding | None:
        if field not in look.shouting:
            return None
        column = look.table.columns[field]
        body = look.style.prompt_body if field == "prompt" else look.style.completion_body
        places = np.flatnonzero([body(text) != body(text).lower() for text in map(as_text, column)])
        if not len(places):
            return None
        return Finding(f"capitals-{field}s", "advice", f"More than a third of the letters of the {field}s are capitals.",
                       "Tokens are made for ordinary writing: a text in capitals takes more of them and is understood less well.",
                       look.table.lines[places], texts_at(column, places),
                       edit(look, places, lambda text: text.replace(body(text), body(text).lower()),
                            f"Write the {field}s in small letters.", field=field))

    return check


def beginning(field: str) -> Callable[[Look], Finding | None]:
    """The check of one field for a long beginning that all its texts share."""
    why = {"prompt": "A fine-tuned model needs no instruction: it costs tokens on every row and every request. What you leave "
                     "out here, leave out of your requests, too.",
           "completion": "The model would spend its first tokens on what you know already."}

    def check(look: Look) -> Finding | None:
        shared = look.style.prompt_beginning if field == "prompt" else look.style.completion_beginning
        if not shared:
            return None
        # Without the space at its end: the row that lacks all that should follow has none.
        bare = shared.rstrip()
        places = np.flatnonzero([text.lstrip().startswith(bare) for text in map(as_text, look.table.columns[field])])
        return Finding(f"{field}-beginning", "advice", f"All {field}s begin with {excerpt(shared, 80)}.", why[field],
                       fix=edit(look, places, lambda text: text.replace(shared if shared in text else bare, "", 1),
                                "Remove this beginning.", field=field))

    return check


def completion_start(look: Look) -> Finding | None:
    """Completions that do not begin with one space."""
    if look.pairs is None:
        return None
    column = look.pairs.completions
    wrong = [(text[:1] != " " or text[1:2].isspace()) and look.style.completion_body(text) != "" for text in map(as_text, column)]
    places = np.flatnonzero(wrong)
    if not len(places):
        return None
    return Finding("completion-start", "warning",
                   f"{plural(len(places), 'completion does', 'completions do')} not begin with one space.",
                   "Most tokenizers have one token for a word with the space before it: such a word is learnt and written whole.",
                   look.table.lines[places], texts_at(column, places),
                   edit(look, places, lambda text: " " + text.lstrip(), "Let every completion begin with one space.",
                        field="completion"))


def separator(look: Look) -> Finding | None:
    """No separator at the end of the prompts, not the same everywhere, or one that occurs within them, too."""
    if look.pairs is None or look.task == "open-ended":
        return None
    why = ("The separator tells the model where the prompt ends and the answer begins: without a fixed one that occurs nowhere "
           "else it goes on writing the prompt.")
    return _marker(look, "prompt", look.style.separator, look.style.prompt_body, SEPARATORS, ("separator", why))


def stop_sequence(look: Look) -> Finding | None:
    """No stop sequence at the end of the completions, not the same everywhere, or one that occurs within them, too."""
    if look.pairs is None or (not look.style.stop and look.one_token):
        return None
    why = ("The stop sequence tells where the answer ends: without one the model goes on writing, and with one that occurs "
           "within an answer it stops too early.")
    return _marker(look, "completion", look.style.stop, look.style.completion_body, STOPS, ("stop-sequence", why))


def _marker(look: Look, field: str, marker: str, body: Callable[[str], str], known: Sequence[str],
            words: tuple[str, str]) -> Finding | None:
    (kind, why), noun, column = words, words[0].replace("-", " "), look.table.columns[field]
    # Completions begin with a space, now or after their own fix. Empty ones get no stop sequence: they would look like answers.
    lead = " " if field == "completion" else ""
    cleaned = clean if look.has_controls else str
    cells = [None if value is None else cleaned(as_text(value)) for value in column]
    texts = [None if cell is None or (lead and not body(cell)) else cell for cell in cells]
    missing = np.flatnonzero([text is not None and not text.endswith(marker) for text in texts])
    inside = np.flatnonzero([text is not None and marker != "" and is_misplaced(text, marker) for text in texts])
    twice = np.array([place for place in inside.tolist() if not is_misplaced(lead + body(texts[place]) + marker, marker)],
                     dtype=int)
    if not any(text is not None for text in texts) or (marker and not len(missing) and not len(inside)):
        return None
    chosen = free_marker([lead + body(text) for text in texts if text is not None], (marker, *known) if marker else known)
    ended = partial(_ended, body=body, marker=chosen, field=field)
    places = np.flatnonzero([text is not None and ended(text) != text for text in texts])
    fix = edit(look, places, ended, f"End every {field} with {quoted(chosen)}.", field=field)
    if not marker:
        return Finding(kind, "warning", f"The {field}s do not end with a common {noun}.", why, (),
                       texts_at(column, places, end=True), fix)
    if len(inside) > len(twice):
        return Finding(kind, "warning", f"The {noun} {quoted(marker)} occurs within {plural(len(inside), field)}, too.", why,
                       look.table.lines[inside], texts_at(column, inside), fix)
    missing = np.union1d(missing, twice)
    shown = quoted(marker) + (" once" if len(twice) else "")
    what = f"{plural(len(missing), f'{field} does', f'{field}s do')} not end with the {noun} {shown}, as the others do."
    return Finding(kind, "warning", what, why, look.table.lines[missing], texts_at(column, missing, end=True), fix)


def _ended(text: str, *, body: Callable[[str], str], marker: str, field: str) -> str:
    """The text with this marker at its end; before a completion, the space as it was."""
    start = text[: len(text) - len(text.lstrip())] if field == "completion" else ""
    return start + body(text) + marker
