"""`/v1/models`: base models first, then the embedding model, the old names, and one's fine-tuned models, newest first."""

from sqlite3 import Row
from typing import Any

from fastapi import APIRouter, Depends, Request

from local_api.context import Context, context, project
from local_api.errors import Forbidden
from local_api.legacy.names import OLD_NAMES

router = APIRouter(prefix="/v1/models")


def provided(here: Context) -> list[dict[str, Any]]:
    """The models that come with the engine; an old name says in `root` which model it stands for."""
    bases = [model.id for model in here.engine.base_models()]
    common = {"object": "model", "created": 0, "owned_by": f"local-api-{here.engine.name}"}
    return [{"id": name, **common} for name in [*bases, here.embedder.id]] + [
        {"id": name, **common, "parent": None, "root": bases[0]} for name in OLD_NAMES if name not in bases]


def shape(here: Context, row: Row) -> dict[str, Any]:
    return {"id": row["id"], "object": "model", "created": row["created_at"], "owned_by": row["project"],
            "parent": row["parent"], "root": row["base_model"], "lineage": here.store.jobs.lineage(row["job_id"])}


@router.get("")
def list_models(request: Request, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    return {"object": "list", "data": provided(here) + [shape(here, row) for row in here.store.models.all(project)]}


@router.get("/{name:path}")
def retrieve_model(request: Request, name: str, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    for model in provided(here):
        if model["id"] == name:
            return model
    return shape(here, here.store.models.get(project, name))


@router.delete("/{name:path}")
def delete_model(request: Request, name: str, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    if any(model["id"] == name for model in provided(here)):
        raise Forbidden(f"The model {name} comes with the server: only fine-tuned models can be deleted.", param="model")
    unused = here.store.models.delete(project, name)
    if unused is not None:
        here.generator.forget(here.store.contents.adapter(unused))
        here.store.drop_adapter(unused)
    return {"id": name, "object": "model", "deleted": True}
