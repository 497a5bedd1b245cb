"""`GET /health`: is it there, and what is it? Needs no key and tells nothing about anybody's work."""

from typing import Any

from fastapi import APIRouter, Request

from local_api import __version__
from local_api.context import context

router = APIRouter()


@router.get("/health")
def health(request: Request) -> dict[str, Any]:
    here = context(request)
    return {"status": "ok", "engine": here.engine.name, "base_model": here.engine.base_models()[0].id,
            "version": __version__, "queue_length": here.store.jobs.unfinished(), "instance": here.instance}
