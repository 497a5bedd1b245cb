"""One file a resource: parse, call, shape. No logic, no SQL."""

from fastapi import APIRouter, Depends

from local_api.routes import (
    absent,
    chat,
    completions,
    embeddings,
    engines,
    files,
    fine_tunes,
    fine_tuning,
    health,
    models,
    responses,
)
from local_api.routes.query import known_query

PARTS = [module.router for module in (health, models, files, fine_tuning, fine_tunes, completions, engines, chat, responses,
                                      embeddings, absent)]
everything = APIRouter(dependencies=[Depends(known_query)])
for part in PARTS:
    everything.include_router(part)
ROUTERS = [everything]
