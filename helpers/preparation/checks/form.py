"""How prompts and completions begin, end and are written: separator, stop sequence, leading space, capitals, repeated beginnings.

For prompt-completion rows alone: in rows of messages the roles do all this. Knows markers through `endings.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import compress, repeat
from operator import ne

import numpy as np

from helpers.preparation.characters import clean
from helpers.preparation.endings import SEPARATORS, STOPS, Style, free_marker, is_misplaced
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
    column, style = look.pairs.completions, look.style
    wrong = [(text[:1] != " " or text[1:2].isspace()) and body != "" for text, body in zip(
        look.pairs.answers(), style.bodies(look.pairs.answers(), "completion"), strict=True)]
    places = np.flatnonzero(wrong)
    if not len(places):
        return None
    return Finding("completion-start", "warning",
                   f"{plural(len(places), 'completion does', 'completions do')} not begin with one space.",
                   "Most tokenizers have one token for a word with the space before it: such a word is learnt and written whole.",
                   look.table.lines[places], texts_at(column, places),
                   edit(look, places, lambda text: " " + text.lstrip(), "Let every completion begin with one space.",
                        field="completion", of_many=lambda texts: [" " + text.lstrip() for text in texts]))


def separator(look: Look) -> Finding | None:
    """No separator at the end of the prompts, not the same everywhere, or one that occurs within them, too."""
    if look.pairs is None or look.task == "open-ended":
        return None
    why = ("The separator tells the model where the prompt ends and the answer begins: without a fixed one that occurs nowhere "
           "else it goes on writing the prompt.")
    return _marker(look, "prompt", look.style.separator, SEPARATORS, ("separator", why))


def stop_sequence(look: Look) -> Finding | None:
    """No stop sequence at the end of the completions, not the same everywhere, or one that occurs within them, too."""
    if look.pairs is None or (not look.style.stop and look.one_token):
        return None
    why = ("The stop sequence tells where the answer ends: without one the model goes on writing, and with one that occurs "
           "within an answer it stops too early.")
    return _marker(look, "completion", look.style.stop, STOPS, ("stop-sequence", why))


def _marker(look: Look, field: str, marker: str, known: Sequence[str], words: tuple[str, str]) -> Finding | None:
    (kind, why), noun, style = words, words[0].replace("-", " "), look.style
    # Completions begin with a space, now or after their own fix. Empty ones get no stop sequence: they would look like answers.
    lead = " " if field == "completion" else ""
    column, texts = look.table.columns[field], _cleaned(look, field)
    there = np.array([value is not None for value in column], dtype=bool)
    if lead:
        there &= np.fromiter(map(bool, style.bodies(texts, field)), dtype=bool)
    missing, inside, twice = _misplaced(texts, there, marker, partial(_ended, style=style, marker=marker, field=field, lead=lead))
    if not there.any() or (marker and not len(missing) and not len(inside)):
        return None
    candidates = (marker, *known) if marker else known
    chosen = free_marker(lambda: compress(style.bodies(texts, field), there.tolist()), candidates, lead)
    ended = partial(_ended, style=style, marker=chosen, field=field)
    places = _unlike(ended, texts, there, chosen)
    fix = edit(look, places, lambda text: next(ended([text])), f"End every {field} with {quoted(chosen)}.", field=field,
               of_many=ended)
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


def _cleaned(look: Look, field: str) -> Sequence[str]:
    """The cells of a column as texts without control characters; the column itself where they are that already."""
    if not look.has_controls and look.table.is_text(field):
        return look.table.columns[field]
    texts = look.table.cells(field)
    return list(map(clean, texts) if look.has_controls else texts)


def _unlike(ended: Callable[[Iterable[str]], Iterator[str]], texts: Sequence[str], there: np.ndarray, marker: str) -> np.ndarray:
    """The places of the texts that are not yet as `ended` writes them."""
    may_be = np.flatnonzero(there & np.fromiter(map(str.endswith, texts, repeat(marker)), dtype=bool))
    some = [texts[place] for place in may_be.tolist()]
    result = there.copy()
    result[may_be] = np.fromiter(map(ne, ended(some), some), dtype=bool)
    return np.flatnonzero(result)


def _misplaced(texts: Sequence[str], there: np.ndarray, marker: str,
               right: Callable[[Iterable[str]], Iterator[str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The places of texts without the marker at their end, of those with it before their end, and of these those with two."""
    if not marker:
        return tuple(np.zeros(0, dtype=int) for _ in range(3))
    missing = np.flatnonzero(there & ~np.fromiter(map(str.endswith, texts, repeat(marker)), dtype=bool))
    found = np.fromiter(map(str.find, texts, repeat(marker)), dtype=np.int64)
    sizes = np.fromiter(map(len, texts), dtype=np.int64)
    inside = np.flatnonzero(there & (found >= 0) & (found < sizes - len(marker)))
    ended = right([texts[place] for place in inside.tolist()])
    twice = [place for place, text in zip(inside.tolist(), ended, strict=True) if not is_misplaced(text, marker)]
    return missing, inside, np.array(twice, dtype=int)


def _ended(texts: Iterable[str], *, style: Style, marker: str, field: str, lead: str | None = None) -> Iterator[str]:
    """The texts with this marker at their ends; before completions `lead`, or the space as it was."""
    texts = list(texts)
    bodies = style.bodies(texts, field)
    if lead is not None or field == "prompt":
        return (f"{lead or ''}{body}{marker}" for body in bodies)
    return (f" {body}{marker}" if text[:1] == " " and not text[1:2].isspace() else
            f"{text[: len(text) - len(text.lstrip())]}{body}{marker}" for text, body in zip(texts, bodies, strict=True))
