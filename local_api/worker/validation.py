"""The first leg of a job: are its files what the method needs? Ends in `queued` with numbers for "auto", or in `failed`."""

import dataclasses
import json
import sqlite3

from local_api.engines.protocols import Engine, EngineError, Example
from local_api.errors import Conflict
from local_api.store import Store
from local_api.store.jobs import ClaimLost
from local_api.training_files import InvalidTrainingFile, read_examples
from local_api.worker.classification import find_classes
from local_api.worker.hyperparameters import resolve, resolve_old

MINIMUM_EXAMPLES = 10


def validate_job(store: Store, engine: Engine, job: sqlite3.Row) -> None:
    """Check both files of a job in `validating_files`, then queue it or fail it with the reason."""
    store.events.add(job["id"], "validating", f"Validating training file: {job['training_file']}" + (
        f" and validation file: {job['validation_file']}" if job["validation_file"] else ""))
    param = "training_file"
    try:
        examples = load_examples(store, job, "training")
        check_lengths(engine, job["base_model"], examples)
        param = "validation_file"
        validation = load_examples(store, job, "validation")
        check_lengths(engine, job["base_model"], validation)
        if job["classification"]:
            param = "classification"
            find_classes(json.loads(job["classification"]), examples, validation)
    except InvalidTrainingFile as error:
        code = error.code if param == "training_file" else error.code.replace("training", "validation")
        end(store, job, {"code": code, "message": str(error), "param": param})
        return
    except EngineError as error:
        end(store, job, {"code": "validation_failed", "message": str(error), "param": None})
        return
    queue(store, job, len(examples))


def queue(store: Store, job: sqlite3.Row, n_examples: int) -> None:
    """Put numbers for "auto" and queue the job; the event tells both, unless its owner took it away in the meantime."""
    requested = json.loads(job["requested"])
    rules = resolve if job["api"] == "fine_tuning" else resolve_old
    resolved = dataclasses.asdict(rules(requested, n_examples))
    with store.db.transaction():
        try:
            queued = store.jobs.move(job["id"], "queued", expected="validating_files", resolved=resolved)
        except Conflict:
            return
        store.events.add(job["id"], "validated", "Files validated, moving job to queued state", data={
            "queue_number": store.jobs.ahead(queued), "hyperparameters": {name: resolved[name] for name in requested}})


def load_examples(store: Store, job: sqlite3.Row, which: str) -> list[Example]:
    """The examples of a job's training or validation file; none where it has no such file."""
    sha256 = job[f"{which}_sha256"]
    if sha256 is None:
        return []
    minimum = MINIMUM_EXAMPLES if which == "training" else 1
    return read_examples(store.contents.file(sha256), method=job["method"], minimum=minimum,
                         what=f"{which.capitalize()} file")


def check_lengths(engine: Engine, base_model: str, examples: list[Example]) -> None:
    """Raise InvalidTrainingFile for the first example that the model cannot be trained on, being too long for it, say."""
    limits = {model.id: model.max_training_tokens for model in engine.base_models()}
    if base_model not in limits:  # the server was started anew with another engine or base model
        raise EngineError(f"this server ({engine.name} engine) does not have the base model {base_model}, it has "
                          f"{', '.join(limits)}: create the job again for one of these")
    limit, tokenizer = limits[base_model], engine.tokenizer(base_model)
    for number, example in enumerate(examples, start=1):
        try:
            tokens = tokenizer.n_training_tokens(example)
        except EngineError as error:
            raise InvalidTrainingFile(f"Example {number} (line {example.line}): {error}") from None
        if tokens > limit:
            raise InvalidTrainingFile(f"Example {number} (line {example.line}) has {tokens:,} tokens, more than the {limit:,} "
                                      f"that {base_model} is trained on: shorten it or split it.")


def end(store: Store, job: sqlite3.Row, error: dict[str, str | None]) -> None:
    """Fail a job that is still where `job` shows it; what its owner did in the meantime stands."""
    with store.db.transaction():
        try:
            store.jobs.move(job["id"], "failed", claim=job["claim"], expected=job["status"], error=error)
        except (Conflict, ClaimLost):
            return
        store.events.add(job["id"], "failed", f"The job failed: {error['message']}", level="error")
