"""Training without a network: counts grow batch by batch, and every figure is computed before its batch is counted.

What the hyperparameters do: `batch_size` is how many examples are measured between two updates of the counts (so it
sets the number of steps), `n_epochs` how often each example is counted, `learning_rate_multiplier` what one sight of
an example weighs against the prior (1 at 0.1). `prompt_loss_weight` changes nothing: prompts are compared, never
predicted. Knows nothing of requests, and of the disk only the run's work_dir.

    for report in MockTrainer().train(spec): ...
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from local_api.engines.mock.adapter import BASE_MODEL_ID, read_examples, write_adapter
from local_api.engines.mock.examples import Row, read_row
from local_api.engines.mock.model import Entry, Model
from local_api.engines.mock.objectives import DirectPreference, Measure, Objective, Supervised, count_weight
from local_api.engines.mock.tokenizer import load_tokenizer
from local_api.engines.protocols import AdapterError, CheckpointReport, EngineError, Report, StepReport, TrainingSpec

MAX_TRAINING_TOKENS = 8192
LEARNING_RATE = 0.01  # x learning_rate_multiplier, as in `Hyperparameters`
STATE = "state.json"
_CORE = ("loss", "accuracy", "sequence_accuracy")


@dataclass(slots=True)
class _Run:
    """A training run made ready: rows read, counts at their start (or where an earlier attempt left them)."""

    spec: TrainingSpec
    rows: list[Row]
    validation: list[Row]
    model: Model
    objective: Objective
    fingerprint: str
    classes: list[Row]
    last: StepReport | None = None  # the last step of the last epoch that an earlier attempt finished

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.rows) // self.spec.hyperparameters.batch_size)

    def adapter(self, epoch: int) -> Path:
        return self.spec.work_dir / f"epoch-{epoch}"


class MockTrainer:
    """The `Trainer` protocol. `step_seconds` is slept at each step, so that a run lasts long enough to be interrupted."""

    def __init__(self, *, step_seconds: float = 0.0) -> None:
        self._step_seconds = step_seconds

    def train(self, spec: TrainingSpec) -> Iterator[Report]:
        run = _prepare(spec)
        first_epoch = 1
        if run.last is not None:
            # The caller may have died before it kept the checkpoint, so it is told again.
            yield CheckpointReport(run.last.epoch, run.last.step, run.adapter(run.last.epoch), run.last)
            first_epoch = run.last.epoch + 1
        for epoch in range(first_epoch, spec.hyperparameters.n_epochs + 1):
            for report in _epoch(run, epoch):
                if self._step_seconds:
                    time.sleep(self._step_seconds)
                yield report
            write_adapter(run.adapter(epoch), run.model)
            _keep_state(run, report)
            yield CheckpointReport(epoch, report.step, run.adapter(epoch), report)


def _epoch(run: _Run, epoch: int) -> Iterator[StepReport]:
    spec, size = run.spec, run.spec.hyperparameters.batch_size
    order = list(run.rows)
    Random(f"{spec.seed}/{epoch}").shuffle(order)
    tokens = sum(row.tokens for row in run.rows) * (epoch - 1)
    for number in range(run.steps_per_epoch):
        batch = order[number * size:(number + 1) * size]
        trained = run.objective.measure(batch)
        run.objective.learn(batch)
        tokens += sum(row.tokens for row in batch)
        step = (epoch - 1) * run.steps_per_epoch + number + 1
        yield StepReport(
            step=step, total_steps=run.steps_per_epoch * spec.hyperparameters.n_epochs, epoch=epoch,
            **_named("train", trained), elapsed_tokens=tokens,
            elapsed_examples=(epoch - 1) * len(order) + min((number + 1) * size, len(order)),
            learning_rate=LEARNING_RATE * spec.hyperparameters.learning_rate_multiplier, **_validate(run, step))


def _validate(run: _Run, step: int) -> dict[str, Any]:
    """One batch of the validation file four times an epoch, in turn, and all of it after the epoch's last step."""
    rows, size = run.validation, run.spec.hyperparameters.batch_size
    result: dict[str, Any] = {}
    every, ends = max(1, run.steps_per_epoch // 4), step % run.steps_per_epoch == 0
    if rows and (ends or step % every == 0):
        start = (step // every * size) % len(rows)
        result |= _named("valid", run.objective.measure(rows[start:start + size]))
    if rows and ends:
        result |= _named("full_valid", run.objective.measure(rows))
        if run.classes and isinstance(run.objective, Supervised):
            result |= {"classified": list(range(len(rows))), "class_probabilities": run.objective.choose(rows, run.classes)}
    return result


def _named(prefix: str, measure: Measure) -> dict[str, float]:
    return {f"{prefix}_{name}": getattr(measure, name) for name in _CORE}


def _prepare(spec: TrainingSpec) -> _Run:
    if spec.base_model != BASE_MODEL_ID:
        raise EngineError(f"the mock engine trains {BASE_MODEL_ID} alone, not {spec.base_model!r}")
    if not spec.examples:
        raise EngineError("the training file holds no examples")
    tokenizer = load_tokenizer()
    rows, validation, classes = ([read_row(example, tokenizer, method=spec.method, limit=MAX_TRAINING_TOKENS)
                         for example in examples] for examples in (spec.examples, spec.validation, spec.classes))
    start = read_examples(spec.start_from).examples if spec.start_from else []
    counts = {Entry(example.prompt, example.tokens): example.count for example in start}
    model = Model(list(dict.fromkeys([*counts, *_entries(rows)])))
    _set_counts(model, counts)
    objective = _objective(spec, model, [*rows, *validation])
    run = _Run(spec, rows, validation, model, objective, _fingerprint(spec, rows, validation, counts), classes)
    _restore(run)
    return run


def _objective(spec: TrainingSpec, model: Model, rows: Sequence[Row]) -> Objective:
    weight = count_weight(spec.hyperparameters.learning_rate_multiplier)
    if spec.method == "dpo":
        return DirectPreference(model, weight, spec.hyperparameters.beta, rows)
    return Supervised(model, weight)


def _entries(rows: Sequence[Row]) -> Iterator[Entry]:
    for row in rows:
        yield from (answer.entry for answer in row.answers)
        if row.rejected is not None:
            yield row.rejected.entry


def _set_counts(model: Model, counts: dict[Entry, float]) -> None:
    for number, entry in enumerate(model.entries):
        change = counts.get(entry, 0.0) - model.counts[number]
        if change:
            model.count(number, change)


def _fingerprint(spec: TrainingSpec, rows: list[Row], validation: list[Row], start: dict[Entry, float]) -> str:
    """Equal for equal runs: what was kept by another run is not taken for this one's."""
    told = repr((spec.hyperparameters, spec.seed, spec.method, rows, validation, start))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _keep_state(run: _Run, report: StepReport) -> None:
    text = json.dumps({"fingerprint": run.fingerprint, "report": asdict(report)})
    unfinished = run.spec.work_dir / f"{STATE}.unfinished"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(run.spec.work_dir / STATE)


def _restore(run: _Run) -> None:
    """Go on from the last epoch kept in work_dir; begin afresh where nothing whole, or another run's, is there."""
    try:
        state = json.loads((run.spec.work_dir / STATE).read_text(encoding="utf-8"))
        if state["fingerprint"] != run.fingerprint:
            return
        last = StepReport(**state["report"])
        kept = read_examples(run.adapter(last.epoch)).examples
    except (OSError, ValueError, KeyError, TypeError, AdapterError):
        return
    _set_counts(run.model, {Entry(example.prompt, example.tokens): example.count for example in kept})
    run.last = last
