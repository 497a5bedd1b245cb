"""The rules of fine-tuning jobs: what may be asked for, how a job is shown, which way it may go.

Between the routes, which only parse, and the store, which only keeps. Knows no HTTP.
"""

import json
from collections.abc import Mapping
from sqlite3 import Row
from typing import Any

from local_api.context import Context
from local_api.engines.protocols import Engine
from local_api.errors import InvalidRequest, ModelNotFound, NotFound, UnsupportedParameter
from local_api.legacy.names import base_named
from local_api.store import Store
from local_api.wire import in_range

METHODS = ("supervised", "dpo")
LIMITS = {"n_epochs": (1, 50, False), "batch_size": (1, 256, False), "learning_rate_multiplier": (0, float("inf"), True),
          "beta": (0, 2, True)}
FOR_METHOD = {"supervised": ("n_epochs", "batch_size", "learning_rate_multiplier"),
              "dpo": ("n_epochs", "batch_size", "learning_rate_multiplier", "beta")}
MAX_CLASSES = 1000


def check(body: dict[str, Any], store: Store, engine: Engine, project: str) -> dict[str, Any]:
    """The columns of the job that `body` asks for. Raises InvalidRequest, NotFound or ModelNotFound naming the field."""
    method, requested = hyperparameters(body)
    suffix = body.get("suffix")
    if suffix is not None and not 1 <= len(suffix) <= 64:
        raise InvalidRequest(f"suffix must have 1 to 64 characters, not {len(suffix)}.", param="suffix")
    in_range(body.get("seed"), "seed", 0, 2**31 - 1)
    classes = body.get("classification")
    if classes is not None:
        if method != "supervised":
            raise InvalidRequest(f"classification goes with the method supervised, not {method}.", param="classification")
        classes = classification(classes, prefix="classification.", validation_file=body.get("validation_file"))
    return {"method": method, "requested": requested, "suffix": suffix, "metadata": metadata(body), "classification": classes,
            **origin(body["model"], store, engine, project), **files(body, store, project)}


def files(body: dict[str, Any], store: Store, project: str) -> dict[str, Any]:
    """The columns of the training and the validation file."""
    columns = {}
    for which in ("training", "validation"):
        name = body.get(f"{which}_file")
        if name is not None:
            columns[f"{which}_file"], columns[f"{which}_sha256"] = name, file_hash(store, project, name, f"{which}_file")
    return columns


def classification(asked: dict[str, Any], *, prefix: str, validation_file: str | None) -> dict[str, Any]:
    """The column `classification`. `prefix`: what stands before the fields' names in the request, for messages."""
    n_classes, positive, betas = (asked.get(name) for name in ("n_classes", "positive_class", "betas"))
    if validation_file is None:
        raise InvalidRequest("Classification metrics are computed on the validation file: give a validation_file.",
                             param="validation_file")
    if n_classes is None and positive is None:
        raise InvalidRequest(f"Give {prefix}n_classes, or for two classes {prefix}positive_class.", param=f"{prefix}n_classes")
    in_range(n_classes, f"{prefix}n_classes", 2, MAX_CLASSES)
    if positive is not None and n_classes not in (None, 2):
        raise InvalidRequest(f"{prefix}positive_class is for two classes, {prefix}n_classes says {n_classes}.",
                             param=f"{prefix}positive_class")
    if betas and positive is None:
        raise InvalidRequest(f"{prefix}betas are for two classes: give {prefix}positive_class too.", param=f"{prefix}betas")
    for beta in betas or ():
        in_range(beta, f"{prefix}betas", 0, 1000, above=True)
    return {"n_classes": n_classes, "positive_class": positive, "betas": betas or None}


def hyperparameters(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The method, and its hyperparameters from wherever they were given, each within its limits."""
    chosen = body.get("method") or {"type": "supervised"}
    method = chosen["type"]
    if method not in METHODS:
        raise UnsupportedParameter(f"The method {method} is not supported by the local API: use supervised or dpo.",
                                   param="method.type")
    if stray := [name for name in chosen if name not in ("type", method)]:
        raise InvalidRequest(f"method.{stray[0]} was given, but method.type is {method}.", param=f"method.{stray[0]}")
    older, newer = body.get("hyperparameters") or {}, (chosen.get(method) or {}).get("hyperparameters") or {}
    if older and newer:
        raise InvalidRequest("Give the hyperparameters once: in method, or in the older field hyperparameters.",
                             param="hyperparameters")
    place = f"method.{method}.hyperparameters" if newer else "hyperparameters"
    requested = {name: value for name, value in (newer or older).items() if value is not None}
    for name, value in requested.items():
        if name not in FOR_METHOD[method]:
            raise InvalidRequest(f"{name} is no hyperparameter of the method {method}.", param=f"{place}.{name}")
        low, high, above = LIMITS[name]
        if value != "auto":
            in_range(value, f"{place}.{name}", low, high, above=above)
    return method, {name: requested.get(name, "auto") for name in FOR_METHOD[method]}


def metadata(body: dict[str, Any]) -> dict[str, str] | None:
    pairs = body.get("metadata") or {}
    if len(pairs) > 16 or any(len(key) > 64 or len(value) > 512 for key, value in pairs.items()):
        raise InvalidRequest("metadata takes up to 16 pairs, keys of up to 64 and values of up to 512 characters.",
                             param="metadata")
    return pairs or None


def origin(model: str, store: Store, engine: Engine, project: str) -> dict[str, Any]:
    """Where training starts: a base model, or a fine-tuned model or checkpoint to continue from."""
    base = base_named(model, engine)
    if base is not None:
        return {"model": model, "base_model": base.id, "start_from": None, "parent_job": None}
    known = ", ".join(base.id for base in engine.base_models())
    try:
        row = store.models.get(project, model)
    except ModelNotFound:
        raise ModelNotFound(model, f"fine-tune {known}, or a fine-tuned model of your own.") from None
    if row["base_model"] not in (base.id for base in engine.base_models()):
        raise InvalidRequest(f"The model {model} was trained on {row['base_model']}, which this server ({engine.name} engine) "
                             f"does not have: fine-tune {known}, or a model that was trained on it.", param="model")
    return {"model": model, "base_model": row["base_model"], "start_from": row["adapter"], "parent_job": row["job_id"]}


def file_hash(store: Store, project: str, name: str, param: str) -> str:
    try:
        row = store.files.get(project, name)
    except NotFound:
        raise InvalidRequest(f"invalid {param}: {name} does not exist: upload the file first.", param=param) from None
    if row["purpose"] != "fine-tune":
        raise InvalidRequest(f"invalid {param}: {name} was uploaded with the purpose {row['purpose']}, not fine-tune.",
                             param=param)
    return row["sha256"]


def add(store: Store, project: str, columns: dict[str, Any], *, seed: int) -> Row:
    with store.db.transaction():
        job = store.jobs.add(project, seed=seed, **columns)
        store.events.add(job["id"], "created", f"Created fine-tuning job: {job['id']}")
    return job


def move(here: Context, project: str, job_id: str, status: str, message: str, *,
         expected: str | None = None) -> dict[str, Any]:
    """Change a job's status (from `expected` alone) on its owner's word. Raises Conflict where that is not possible."""
    with here.store.db.transaction():
        job = here.store.jobs.get(project, job_id)
        moved = here.store.jobs.move(job["id"], status, expected=expected)
        last = here.store.events.page(job["id"], limit=1, after=None)[0]
        here.store.events.add(job["id"], f"{status}-after-{last[0]['id']}", message)
    here.wake()
    return shape(here, moved)


def resume(here: Context, project: str, job_id: str) -> dict[str, Any]:
    """A paused job goes back to where it was: to validation, or to the queue."""
    job = here.store.jobs.get(project, job_id)
    return move(here, project, job_id, "queued" if job["resolved"] else "validating_files", "The job was resumed",
                expected="paused")


def metadata_filter(query: Mapping[str, str]) -> dict[str, str] | None:
    """`metadata[key]=value` of a list request; `metadata=null` asks for jobs without any; None: no filter."""
    if query.get("metadata") == "null":
        return {}
    pairs = {name[len("metadata["):-1]: value for name, value in query.items()
             if name.startswith("metadata[") and name.endswith("]")}
    return pairs or None


def shape(here: Context, job: Row) -> dict[str, Any]:
    """The job as on the wire. Hyperparameters are "auto" until they are resolved.

    Ours beside the hosted service's fields, which the official client takes along: `lineage`, `queue_position`, `classification`.
    """
    requested, resolved = json.loads(job["requested"]), json.loads(job["resolved"] or "{}")
    values = {name: resolved.get(name, value) for name, value in requested.items() if name in FOR_METHOD[job["method"]]}
    extension = {"classification": json.loads(job["classification"])} if job["classification"] else {}
    error = json.loads(job["error"]) if job["error"] else None
    return {
        "object": "fine_tuning.job", "id": job["id"], "created_at": job["created_at"], "finished_at": job["finished_at"],
        "model": job["model"], "fine_tuned_model": job["fine_tuned_model"], "organization_id": here.settings.organization,
        "status": job["status"], "training_file": job["training_file"], "validation_file": job["validation_file"],
        "result_files": [job["result_file"]] if job["result_file"] else [], "trained_tokens": job["trained_tokens"],
        "hyperparameters": values, "method": {"type": job["method"], job["method"]: {"hyperparameters": values}},
        "seed": job["seed"], "estimated_finish": estimated_finish(here, job), "integrations": [], "error": error,
        "metadata": json.loads(job["metadata"]) if job["metadata"] else None, "user_provided_suffix": job["suffix"],
        "lineage": here.store.jobs.lineage(job["id"]),
        "queue_position": here.store.jobs.ahead(job) if job["status"] == "queued" else None, **extension}


def estimated_finish(here: Context, job: Row) -> int | None:
    """When a running job will be done if its steps go on at the pace of this run; None before the run's first step.

    Time in which the job was paused or waited counts for nothing.
    """
    last = here.store.steps.last(job["id"]) if job["status"] == "running" else None
    if last is None or job["claimed_at"] is None:
        return None
    now, done = here.clock(), last["step"] - job["claimed_step"]
    if done <= 0 or now < job["claimed_at"]:  # a clock that was set back tells no pace
        return None
    return int(now + (now - job["claimed_at"]) / done * (last["total_steps"] - last["step"]))
