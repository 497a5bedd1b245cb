"""`/v1/fine_tuning/jobs`: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

import json
import secrets
from sqlite3 import Row
from typing import Any

from fastapi import APIRouter, Depends, Request

from local_api import jobs as rules
from local_api.context import context, project, raw_body
from local_api.routes.paging import page
from local_api.wire import FINE_TUNING_JOBS

router = APIRouter(prefix="/v1/fine_tuning/jobs")


@router.post("", openapi_extra=FINE_TUNING_JOBS.openapi())
def create_job(request: Request, raw: bytes = Depends(raw_body), project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    body = FINE_TUNING_JOBS.read(raw)
    with here.store.db.transaction():  # a deletion of the files waits until the job names them
        order = rules.check(body, here.store, here.engine, project)
        job = rules.add(here.store, project, order, seed=body.get("seed", secrets.randbelow(2**31)))
    here.wake()
    return rules.shape(here, job)


@router.get("")
def list_jobs(request: Request, limit: int = 20, after: str | None = None, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    metadata = rules.metadata_filter(request.query_params)

    def fetch(**options: Any) -> tuple[list[Row], bool]:
        return here.store.jobs.page(project, metadata=metadata, **options)

    return page(fetch, lambda row: rules.shape(here, row), limit=limit, after=after)


@router.get("/{job_id}")
def retrieve_job(request: Request, job_id: str, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    return rules.shape(here, here.store.jobs.get(project, job_id))


@router.post("/{job_id}/cancel")
def cancel_job(request: Request, job_id: str, project: str = Depends(project)) -> dict[str, Any]:
    return rules.move(context(request), project, job_id, "cancelled", "The job was cancelled")


@router.post("/{job_id}/pause")
def pause_job(request: Request, job_id: str, project: str = Depends(project)) -> dict[str, Any]:
    return rules.move(context(request), project, job_id, "paused", "The job was paused")


@router.post("/{job_id}/resume")
def resume_job(request: Request, job_id: str, project: str = Depends(project)) -> dict[str, Any]:
    return rules.resume(context(request), project, job_id)


@router.get("/{job_id}/events")
def list_events(request: Request, job_id: str, limit: int = 20, after: str | None = None,
                project: str = Depends(project)) -> dict[str, Any]:
    store = context(request).store
    job = store.jobs.get(project, job_id)

    def fetch(**options: Any) -> tuple[list[Row], bool]:
        return store.events.page(job["id"], **options)

    return page(fetch, shape_event, limit=limit, after=after)


def shape_event(row: Row) -> dict[str, Any]:
    return {"object": "fine_tuning.job.event", "id": row["id"], "created_at": row["created_at"], "level": row["level"],
            "message": row["message"], "type": row["type"], "data": json.loads(row["data"] or "{}")}


@router.get("/{job_id}/checkpoints")
def list_checkpoints(request: Request, job_id: str, limit: int = 10, after: str | None = None,
                     project: str = Depends(project)) -> dict[str, Any]:
    store = context(request).store
    job = store.jobs.get(project, job_id)

    def fetch(**options: Any) -> tuple[list[Row], bool]:
        return store.checkpoints.page(job["id"], **options)

    return page(fetch, shape_checkpoint, limit=limit, after=after)


def shape_checkpoint(row: Row) -> dict[str, Any]:
    return {"object": "fine_tuning.job.checkpoint", "id": row["id"], "created_at": row["created_at"],
            "fine_tuned_model_checkpoint": row["model"], "fine_tuning_job_id": row["job_id"], "step_number": row["step"],
            "metrics": json.loads(row["metrics"])}
