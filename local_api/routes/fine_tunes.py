"""`/v1/fine-tunes`, the API of 2021: create, list, retrieve, cancel, events (also as a stream), delete."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from sqlite3 import Row
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from local_api import jobs, sse
from local_api.context import Context, context, project, raw_body
from local_api.legacy import fine_tunes as rules
from local_api.legacy.story import Story
from local_api.store.jobs import ENDED
from local_api.wire import FINE_TUNES

router = APIRouter(prefix="/v1/fine-tunes")
POLL_SECONDS = 0.2
SIGN_OF_LIFE_SECONDS = 15.0  # the old client gives up a stream that is silent for ten minutes


@router.post("", openapi_extra=FINE_TUNES.openapi())
def create_fine_tune(request: Request, raw: bytes = Depends(raw_body), project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    body = FINE_TUNES.read(raw)
    with here.store.db.transaction():  # a deletion of the files waits until the job names them
        order = rules.check(body, here.store, here.engine, project)
        job = jobs.add(here.store, project, order, seed=secrets.randbelow(2**31))
    here.wake()
    return rules.shape(here, job)


@router.get("")
def list_fine_tunes(request: Request, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    found = here.store.jobs.supervised(project)
    return {"object": "list", "data": [rules.shape(here, job, events=False) for job in found]}


@router.get("/{job_id}")
def retrieve_fine_tune(request: Request, job_id: str, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    return rules.shape(here, rules.find(here, project, job_id))


@router.post("/{job_id}/cancel")
def cancel_fine_tune(request: Request, job_id: str, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    jobs.move(here, project, rules.find(here, project, job_id)["id"], "cancelled", "The job was cancelled")
    return rules.shape(here, rules.find(here, project, job_id))


@router.delete("/{job_id}")
def delete_fine_tune(request: Request, job_id: str, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    here.store.jobs.delete(project, rules.find(here, project, job_id)["id"])
    return {"id": job_id, "object": "fine-tune", "deleted": True}


@router.get("/{job_id}/events")
async def list_events(request: Request, job_id: str, stream: bool = False, project: str = Depends(project)) -> Response:
    here = context(request)
    job = await run_in_threadpool(rules.find, here, project, job_id)
    if stream:
        return await sse.stream(follow(request, here, job))
    return JSONResponse({"object": "list", "data": await run_in_threadpool(rules.told, here, job)})


async def follow(request: Request, here: Context, job: Row) -> AsyncIterator[dict[str, Any] | None]:
    """Every event, those to come as they come, until the job has ended or the client has left; None as a sign of life."""
    seen, silent, story = 0, 0.0, Story()
    while True:
        rows, before, after = await run_in_threadpool(news, here, job["id"], seen)
        for event in story.tell(rows, after):
            yield event
        if before["status"] in ENDED or await request.is_disconnected():
            return
        seen, silent = rows[-1]["seq"] if rows else seen, 0.0 if rows else silent + POLL_SECONDS
        if silent >= SIGN_OF_LIFE_SECONDS:
            silent = 0.0
            yield None
        await asyncio.sleep(POLL_SECONDS)


def news(here: Context, job_id: str, seen: int) -> tuple[list[Row], Row, Row]:
    """The events after `seen`, and the job before and after they were read: if it had ended before, they are the last."""
    before = here.store.jobs.current(job_id)
    return here.store.events.since(job_id, seen), before, here.store.jobs.current(job_id)
