"""What the answers are, taken together: how many, of which classes, and whether they agree with one another.

Knows tasks and classes. Statistics go by the rows that are left when empty and repeated ones are dropped, so that dropping
them changes no verdict.
"""

from collections import Counter
from itertools import compress

import numpy as np

from helpers.preparation.findings import Finding, excerpt, plural, quoted, verb
from helpers.preparation.fixes import drop, edit
from helpers.preparation.keys import label_key
from helpers.preparation.look import TASKS, Look
from helpers.preparation.rules import MINIMUM_EXAMPLES

UNEVEN = 10  # times as many examples of the largest class as of the smallest
# How many examples a task wants, as those who have done it say.
ENOUGH = {"classification": (200, "a few hundred examples, about a hundred for each class"),
          "generation": (500, "about 500 examples"),
          "open-ended": (3000, "several thousand examples"),
          "chat": (3000, "several thousand turns"),
          "preference": (500, "some hundreds of pairs")}


def label_spelling(look: Look) -> Finding | None:
    """Classes that differ only in case, space or punctuation."""
    if look.task != "classification":
        return None
    counts = Counter(compress(map(str.strip, look.answers()), look.kept.tolist()))
    spellings: dict[str, list[str]] = {}
    for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        spellings.setdefault(label_key(label), []).append(label)
    usual = {key: labels[0] for key, labels in spellings.items() if len(labels) > 1}
    if not usual:
        return None
    places = np.array([place for place, text in enumerate(look.answers())
                       if usual.get(label_key(text), text) != text], dtype=int)
    shown = [" = ".join(map(quoted, labels[:4])) for labels in spellings.values() if len(labels) > 1]
    return Finding("label-spelling", "warning", f"{plural(len(usual), 'class is', 'classes are')} spelt in several ways.",
                   "To the model, each spelling is a class of its own.", look.table.lines[places], shown[:3],
                   edit(look, places, lambda text: _respelt(look, text, usual),
                        f"Use the commonest spelling: {', '.join(map(quoted, list(usual.values())[:6]))}.",
                        field="completion" if look.pairs is not None else "answer"))


def _respelt(look: Look, text: str, usual: dict[str, str]) -> str:
    """The completion, or the answer of a chat, with the usual spelling of its label."""
    body = text.strip() if look.pairs is None else look.style.completion_body(text)
    return text.replace(body, usual.get(label_key(body), body), 1)


def conflicts(look: Look) -> Finding | None:
    """Equal prompts with different answers, where each prompt should have one."""
    if look.task not in ("classification", "generation") or not (look.answered & (look.question_keys != 0)).any():
        return None
    answers = look.label_keys if look.task == "classification" else look.answer_keys
    places = np.flatnonzero(look.answered & (look.question_keys != 0))
    found = places[_with_several(look.question_keys[places], answers[places])]
    if not len(found):
        return None
    texts = [look.question(place) for place in found[:3].tolist()]
    return Finding("conflicting-answers", "warning" if look.task == "classification" else "advice",
                   f"{plural(len(found), 'row has', 'rows have')} a prompt that has another answer elsewhere.",
                   "The model cannot learn both: look which one is right. Such rows stay on one side of a split.",
                   look.table.lines[found], [*dict.fromkeys(map(excerpt, texts))],
                   drop(look, found, f"Drop all {plural(len(found), 'row')}.", "its prompt has another answer elsewhere",
                        recommended=False))


def _with_several(questions: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Whether the question of each row has another answer in another row."""
    order = np.argsort(questions)
    starts = np.flatnonzero(np.diff(questions[order], prepend=questions[order[:1]] - 1))
    several = np.minimum.reduceat(answers[order], starts) != np.maximum.reduceat(answers[order], starts)
    result = np.zeros(len(questions), dtype=bool)
    result[order] = np.repeat(several, np.diff(starts, append=len(questions)))
    return result


def class_balance(look: Look) -> Finding | None:
    """The classes and their sizes. Always said of a classification task."""
    counts = look.labels if look.task == "classification" else {}
    if not counts:
        return None
    named = ", ".join(f"{excerpt(name, 30)} {count:,}" for name, count in list(counts.items())[:8])
    what = f"{plural(len(counts), 'class', 'classes')}: {named}{' …' if len(counts) > 8 else ''}."
    if len(counts) == 1:
        return Finding("class-balance", "warning", what, "There is nothing to tell apart: the model will always say it.")
    if max(counts.values()) < UNEVEN * min(counts.values()):
        return Finding("class-balance", "advice", what, f"No class has {UNEVEN} times as many examples as another: even enough.")
    return Finding("class-balance", "warning", what, "Some are rare: a model that never names them would still look good. "
                   "Collect more of them, and look at each class in the results.")


def example_count(look: Look) -> Finding:
    """How many examples there are, and how many the task wants. Always said."""
    number = int(look.kept.sum())
    if number < MINIMUM_EXAMPLES:
        return Finding("example-count", "error", f"There {verb(number, 'is', 'are')} {plural(number, 'usable example')}.",
                       f"A job needs at least {MINIMUM_EXAMPLES}.")
    enough, advice = ENOUGH[look.task]
    what = f"{plural(number, 'example')} for {TASKS[look.task]}"
    why = f"The usual advice is {advice}. Each doubling of the data makes the model better by about the same step."
    if number < enough:
        return Finding("example-count", "advice", f"{what}: few.", why)
    return Finding("example-count", "advice", f"{what}: a good number.", why)


