"""Classification metrics: which classes a job's files hold, and how well the model tells them apart.

The engine gives each validation example's probabilities of the classes; the figures are scikit-learn's. For two classes with
a positive one: accuracy, precision, recall and F-beta at a threshold of 0.5, AUROC, AUPRC (average precision). Else:
accuracy, and precision, recall and F1 weighted by the classes' sizes. Knows no engine, store or steps.

    classes = find_classes({"n_classes": 3, ...}, examples, validation)
    measure(classes, [0, 1], [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])    # {"classification/accuracy": 1.0, ...}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_api.engines.protocols import Chat, Example, PromptCompletion
from local_api.training_files import InvalidTrainingFile

SHOWN = 12  # classes named in a message
DEFAULT_BETAS = (1.0,)


@dataclass(frozen=True, slots=True)
class Classes:
    """`names`: the answers that stand for the classes. `positive`: the number of the positive class, of two."""

    names: tuple[str, ...]
    examples: tuple[Example, ...]  # one of each class
    labels: tuple[int, ...]  # the class of each validation example
    positive: int | None
    betas: tuple[float, ...]


def find_classes(wanted: Mapping[str, Any], examples: Sequence[Example], validation: Sequence[Example]) -> Classes:
    """The different answers of both files. Raises InvalidTrainingFile if they are not the classes that were `wanted`."""
    first: dict[str, Example] = {}
    for example in [*examples, *validation]:
        first.setdefault(answer_of(example), example)
    names, positive = tuple(sorted(first)), wanted["positive_class"]
    n_classes = wanted["n_classes"] or 2
    if len(names) != n_classes:
        raise InvalidTrainingFile(
            f"The files hold {len(names)} different completions, which are the classes ({listed(names)}), but {n_classes} "
            "classes were asked for: correct the number, or the completions.", code="invalid_n_classes")
    numbers = {name: number for number, name in enumerate(names)}
    return Classes(names, tuple(first[name] for name in names), tuple(numbers[answer_of(example)] for example in validation),
                   None if positive is None else the_positive(positive, names), tuple(wanted["betas"] or DEFAULT_BETAS))


def answer_of(example: Example) -> str:
    """The text that says the class: a completion, or the last message's."""
    if isinstance(example, PromptCompletion):
        return example.completion
    assert isinstance(example, Chat)
    last = example.messages[-1]
    content = last.get("content") or ""
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    if last["role"] != "assistant" or not last.get("weight", 1) or not text:
        raise InvalidTrainingFile(f"Line {example.line}: the last message must be the assistant's and say the class.")
    return text


def the_positive(given: str, names: Sequence[str]) -> int:
    """The number of the class meant by `given`: blanks around it and what follows it (a stop sequence) may differ."""
    bare = given.strip()
    for means in (lambda name: name == given, lambda name: name.strip() == bare, lambda name: name.strip().startswith(bare)):
        found = [number for number, name in enumerate(names) if means(name)]
        if bare and len(found) == 1:
            return found[0]
    raise InvalidTrainingFile(f"The positive class {given!r} is not one of the classes in the files: {listed(names)}.",
                              code="invalid_positive_class")


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name[:40]) for name in names[:SHOWN]) + more


def measure(classes: Classes, classified: Sequence[int], probabilities: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """The figures under the names of the result file's columns; None where one is not defined.

    `classified`: numbers of validation examples; `probabilities`: [len(classified), classes].
    """
    labels = [classes.labels[number] for number in classified]
    if classes.positive is None:
        figures = of_many(labels, [max(range(len(row)), key=row.__getitem__) for row in probabilities])
    else:
        figures = of_two([label == classes.positive for label in labels], [row[classes.positive] for row in probabilities],
                         classes.betas)
    return {f"classification/{name}": None if value is None else float(value) for name, value in figures.items()}


def of_many(labels: Sequence[int], chosen: Sequence[int]) -> dict[str, float | None]:
    from sklearn import metrics  # takes a second to import: only where it is needed

    precision, recall, f_score, _ = metrics.precision_recall_fscore_support(labels, chosen, average="weighted", zero_division=0)
    return {"accuracy": metrics.accuracy_score(labels, chosen), "weighted_precision": precision, "weighted_recall": recall,
            "weighted_f1_score": f_score}


def of_two(labels: Sequence[bool], probabilities: Sequence[float], betas: Sequence[float]) -> dict[str, float | None]:
    from sklearn import metrics

    chosen = [probability > 0.5 for probability in probabilities]
    both = len(set(labels)) == 2  # ranking needs examples of each
    return {
        "accuracy": metrics.accuracy_score(labels, chosen),
        "precision": metrics.precision_score(labels, chosen, zero_division=0),
        "recall": metrics.recall_score(labels, chosen, zero_division=0),
        "auroc": metrics.roc_auc_score(labels, probabilities) if both else None,
        "auprc": metrics.average_precision_score(labels, probabilities) if both else None,
        **{f"f{beta}": metrics.fbeta_score(labels, chosen, beta=beta, zero_division=0) for beta in betas}}
