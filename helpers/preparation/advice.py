"""What to do with a prepared file: hyperparameters for its task, and the command and the Python call to run next.

Knows tasks and the markers of a table. Knows nothing of the API. The numbers are those of the guide: more passes and a larger
rate for classes, fewer and a smaller one for free text, which is learnt by heart too soon. The guide means files of some
hundred rows; a file of a few dozen gets more passes, or its model would take no more steps than a dozen.

    steps = next_steps(look, ["a_train.jsonl", "a_valid.jsonl"])
    print(steps.command)
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.preparation.findings import quoted
from helpers.preparation.look import Look, tokens_of
from helpers.preparation.table import Pairs, Table
from helpers.tokens import Estimate, count_many, is_exact

HYPERPARAMETERS: dict[str, dict[str, float]] = {
    "classification": {"n_epochs": 4, "learning_rate_multiplier": 0.1},
    "generation": {"n_epochs": 2, "learning_rate_multiplier": 0.05},
    "open-ended": {"n_epochs": 2, "learning_rate_multiplier": 0.05},
    "chat": {"n_epochs": 3, "learning_rate_multiplier": 0.05},
    "preference": {"n_epochs": 1, "learning_rate_multiplier": 0.05}}
DPO = "preference"
READINGS, MOST_EPOCHS = 560, 25  # rows read in all, at least: 70 steps of 8, which the local API's "auto" asks for as well


@dataclass(frozen=True, slots=True)
class NextSteps:
    """Text to show. `command` is for a shell, `python` for a notebook."""

    hyperparameters: dict[str, float]
    command: str
    python: str
    reminders: list[str]


def next_steps(look: Look, paths: Sequence[Path], *, model: str = "") -> NextSteps:
    """What to run on the training file and, where there are two, the validation file."""
    values = dict(HYPERPARAMETERS[look.task])
    values["n_epochs"] = max(values["n_epochs"], min(MOST_EPOCHS, math.ceil(READINGS / max(1, len(look.table)))))
    options = {"-t": str(paths[0]), **({"-v": str(paths[1])} if len(paths) > 1 else {}), **({"-m": model} if model else {}),
               **({"--method": "dpo"} if look.task == DPO else {}),
               "--n-epochs": str(values["n_epochs"]), "--learning-rate-multiplier": str(values["learning_rate_multiplier"])}
    words = [word for pair in options.items() for word in pair]
    if look.task == "classification" and len(paths) > 1 and isinstance(look.table, Pairs):
        words += ["--compute-classification-metrics"]
    return NextSteps(values, shlex.join(["cookbook", "fine-tunes", "create", *words]), _python(look, paths, values, model),
                     _reminders(look))


def _python(look: Look, paths: Sequence[Path], values: dict[str, float], model: str) -> str:
    method = "dpo" if look.task == DPO else "supervised"
    lines = ["from helpers import base_model, connect, follow, upload", "", "client = connect()"]
    lines += [f"{name} = upload(client, {quoted(str(path))})"
              for name, path in zip(("training", "validation"), paths, strict=False)]
    lines += ["job = client.fine_tuning.jobs.create(",
              f"    model={quoted(model)}," if model else "    model=base_model(client),", "    training_file=training.id,",
              *(["    validation_file=validation.id,"] if len(paths) > 1 else []),
              f"    method={{\"type\": \"{method}\", \"{method}\": {{\"hyperparameters\": {_dictionary(values)}}}}})",
              "job = follow(client, job.id)"]
    return "\n".join(lines)


def _dictionary(values: dict[str, float]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"


def _reminders(look: Look) -> list[str]:
    """How requests must be made so that they look like the training rows."""
    if look.pairs is None:
        return ["Ask with messages in the same order of roles, and with the same system message."]
    style, found = look.style, []
    if style.separator:
        found.append(f"End the prompt of every request with {quoted(style.separator)}, exactly as here.")
    if style.stop:
        found.append(f"Ask with stop=[{quoted(style.stop)}].")
    if look.one_token:
        found.append("Ask with max_tokens=1: the first token tells the class.")
    return found


def size_of(table: Table, model: str, n_epochs: int) -> Estimate:
    """Tokens of a table as it would be written."""
    if isinstance(table, Pairs):
        counts = count_many(list(table.questions()), model) + count_many(list(table.answers()), model)
    else:
        counts = np.array([tokens_of(row, model) for row in table.rows()], dtype=np.int64)
    tokens = int(counts.sum())
    return Estimate(examples=len(counts), tokens=tokens, trained_tokens=tokens * n_epochs, longest=int(counts.max(initial=0)),
                    cost=None, minutes=None, exact=is_exact(model))
