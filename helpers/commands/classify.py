"""How good a fine-tuned classifier is on its validation file: what the old API computed, asked of the model itself.

Knows prompt-completion rows and scores. Knows nothing of jobs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import openai

LONGEST_LABEL = 20  # tokens


@dataclass(frozen=True, slots=True)
class Measure:
    """What is asked for: the number of classes, the positive class, betas for F-beta."""

    n_classes: int | None
    positive: str | None
    betas: tuple[float, ...]

    def examples(self, validation_file: str | None, *, no_follow: bool) -> list[dict[str, str]]:
        """The validation rows. Raises BadParameter where there can be no metrics, before anything is trained."""
        from helpers.jsonl import read_jsonl

        hint = "--compute-classification-metrics"
        if no_follow:
            raise typer.BadParameter("is done when the job has ended: leave out --no-follow", param_hint=hint)
        if validation_file is None or not Path(validation_file).is_file():
            raise typer.BadParameter("needs a validation file on disk (-v)", param_hint=hint)
        rows = read_jsonl(validation_file)
        if not rows or not all(isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str) for row in rows):
            raise typer.BadParameter("needs validation rows with prompt and completion", param_hint=hint)
        labels = sorted({row["completion"].strip() for row in rows})
        if self.n_classes is not None and len(labels) != self.n_classes:
            raise typer.BadParameter(f"the validation file has {len(labels)} classes ({', '.join(labels[:6])}), not "
                                     f"{self.n_classes}", param_hint="--classification-n-classes")
        if self.positive is not None and self.positive.strip() not in labels:
            raise typer.BadParameter(f"the validation file has no {self.positive!r}, but {', '.join(labels[:6])}",
                                     param_hint="--classification-positive-class")
        return rows


def print_metrics(api: "openai.OpenAI", model: str, rows: list[dict[str, str]], measure: Measure) -> None:
    """Ask the model for each validation row, and print the scores."""
    from sklearn.metrics import fbeta_score, precision_recall_fscore_support

    from helpers.metrics import classification_scores

    truth = [row["completion"].strip() for row in rows]
    predicted = predictions(api, model, rows, sorted(set(truth)))
    scores = {f"classification/{name}": value for name, value in classification_scores(truth, predicted).items()}
    if measure.positive is not None:
        positive = measure.positive.strip()
        is_true, is_said = [label == positive for label in truth], [label == positive for label in predicted]
        precision, recall, _, _ = precision_recall_fscore_support(is_true, is_said, average="binary", zero_division=0)
        scores |= {"classification/precision": precision, "classification/recall": recall}
        scores |= {f"classification/f{beta}": fbeta_score(is_true, is_said, beta=beta, zero_division=0)
                   for beta in (1.0, *measure.betas)}
    for name, value in scores.items():
        print(f"{name:<28} {value:.3f}" if name != "classification/examples" else f"{name:<28} {value:.0f}")


def predictions(api: "openai.OpenAI", model: str, rows: list[dict[str, str]], labels: list[str]) -> list[str]:
    """What the model says to each row: a label, or its own words where those are none."""
    from helpers.batch import complete_many
    from helpers.preparation.endings import KNOWN_STOPS, marker_of
    from helpers.tokens import count_tokens

    stop = marker_of([row["completion"] for row in rows], KNOWN_STOPS)
    # Without a stop sequence the model goes on writing: the first token must tell the classes apart.
    length = min(LONGEST_LABEL, 2 + max(count_tokens(f" {label}") for label in labels)) if stop else 1
    answers = complete_many(api, [row["prompt"] for row in rows], model=model, max_tokens=length, temperature=0,
                            **({"stop": [stop]} if stop else {}))
    names = {label.removesuffix(stop).strip(): label for label in labels}
    return [_label(answer.choices[0].text.strip(), names) for answer in answers]


def _label(said: str, names: dict[str, str]) -> str:
    fitting = [label for name, label in names.items() if name == said] or [
        label for name, label in names.items() if said and name.startswith(said)]
    return fitting[0] if len(fitting) == 1 else said
