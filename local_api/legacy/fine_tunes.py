"""The rules of the old API: what a fine-tune may ask for, and how a job is shown as one.

A fine-tune is a job like any other, of the method "supervised". Between the routes, which only parse, and the store,
which only keeps. Knows no HTTP.

    columns = check(body, store, engine, project)
    shape(here, job)
"""

import json
from sqlite3 import Row
from typing import Any

from local_api import jobs
from local_api.context import Context
from local_api.engines.protocols import Engine
from local_api.errors import InvalidRequest, NotFound
from local_api.legacy.story import Story
from local_api.store import Store
from local_api.store.ids import new_id
from local_api.wire import in_range

API = "fine-tunes"  # in the column `api`
DEFAULT_MODEL = "curie"
MAX_SUFFIX = 40
# "auto" waits for the number of examples.
DEFAULTS = {"n_epochs": 4, "batch_size": "auto", "learning_rate_multiplier": "auto", "prompt_loss_weight": 0.01}
LIMITS = {name: jobs.LIMITS[name] for name in ("n_epochs", "batch_size", "learning_rate_multiplier")}
LIMITS["prompt_loss_weight"] = (0, 1, False)
CLASSIFICATION = ("n_classes", "positive_class", "betas")
STATUS = {"validating_files": "pending", "queued": "pending", "paused": "pending"}


def check(body: dict[str, Any], store: Store, engine: Engine, project: str) -> dict[str, Any]:
    """The columns of the job that `body` asks for. Raises InvalidRequest, NotFound or ModelNotFound naming the field."""
    for name, (low, high, above) in LIMITS.items():
        in_range(body.get(name), name, low, high, above=above)
    suffix = body.get("suffix") or None
    if suffix is not None and len(suffix) > MAX_SUFFIX:
        raise InvalidRequest(f"suffix must have at most {MAX_SUFFIX} characters, not {len(suffix)}.", param="suffix")
    asked = {name: body[f"classification_{name}"] for name in CLASSIFICATION if f"classification_{name}" in body}
    if asked and not body.get("compute_classification_metrics"):
        name = f"classification_{next(iter(asked))}"
        raise InvalidRequest(f"{name} does nothing without compute_classification_metrics: set that too, or leave it out.",
                             param=name)
    classification = None
    if body.get("compute_classification_metrics"):
        classification = jobs.classification(asked, prefix="classification_", validation_file=body.get("validation_file"))
    return {"id": new_id("ft-"), "api": API, "method": "supervised", "suffix": suffix, "classification": classification,
            "requested": {name: body.get(name, value) for name, value in DEFAULTS.items()},
            **jobs.origin(body.get("model", DEFAULT_MODEL), store, engine, project), **jobs.files(body, store, project)}


def find(here: Context, project: str, identifier: str) -> Row:
    """The job, or NotFound for one that is not there or that the old shapes cannot show."""
    job = here.store.jobs.get(project, identifier)
    if job["method"] != "supervised":
        raise NotFound(f"{identifier} was created with the method {job['method']}, which this API does not know: "
                       "ask for it under /v1/fine_tuning/jobs.", param="id", code="fine_tune_not_found")
    return job


def shape(here: Context, job: Row, *, events: bool = True) -> dict[str, Any]:
    """The job as a fine-tune; lists leave out its events."""
    last = here.store.events.page(job["id"], limit=1, after=None)[0]
    result = {
        "id": job["id"], "object": "fine-tune", "model": job["model"], "created_at": job["created_at"],
        "updated_at": last[0]["created_at"], "fine_tuned_model": job["fine_tuned_model"], "hyperparams": hyperparams(job),
        "organization_id": here.settings.organization, "status": STATUS.get(job["status"], job["status"]),
        "training_files": files(here, job, "training_file"), "validation_files": files(here, job, "validation_file"),
        "result_files": files(here, job, "result_file")}
    return {**result, "events": told(here, job)} if events else result


def told(here: Context, job: Row) -> list[dict[str, Any]]:
    """All events so far, oldest first."""
    rows = here.store.events.since(job["id"], 0)
    return Story().tell(rows, here.store.jobs.current(job["id"]))


def hyperparams(job: Row) -> dict[str, Any]:
    """Numbers, null where they are not known yet; and what was asked for about classes."""
    requested, resolved = json.loads(job["requested"]), json.loads(job["resolved"] or "{}")
    values = {name: resolved.get(name, requested.get(name)) for name in DEFAULTS}
    classification = json.loads(job["classification"] or "{}")
    return {**{name: None if value == "auto" else value for name, value in values.items()},
            **({"compute_classification_metrics": True} if classification else {}),
            **{f"classification_{name}": value for name, value in classification.items()}}


def files(here: Context, job: Row, column: str) -> list[dict[str, Any]]:
    """The file objects of a column, at most one. Of a file that was deleted only the id is left."""
    if job[column] is None:
        return []
    try:
        row = here.store.files.get(job["project"], job[column])
    except NotFound:
        return [{"id": job[column], "object": "file", "bytes": None, "created_at": None, "filename": None, "purpose": None,
                 "status": "deleted", "status_details": None}]
    return [{"id": row["id"], "object": "file", "bytes": row["bytes"], "created_at": row["created_at"],
             "filename": row["filename"], "purpose": row["purpose"], "status": "processed", "status_details": None}]
