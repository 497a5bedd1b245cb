"""`/v1/engines/{model}/completions`: where clients of 2021 send completions for `engine=...` instead of `model=...`."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from local_api.context import project
from local_api.errors import InvalidRequest
from local_api.routes.completions import complete
from local_api.wire import COMPLETIONS, as_json, read_json

router = APIRouter(prefix="/v1/engines")


@router.post("/{name:path}/completions", openapi_extra=COMPLETIONS.openapi())
async def create_completion(request: Request, name: str, project: str = Depends(project)) -> Response:
    def read(raw: bytes) -> dict[str, Any]:
        given = read_json(raw)
        if given.get("model") not in (None, name):
            raise InvalidRequest(f"model is {given['model']!r}, but the path says {name}: name the model once.", param="model")
        return COMPLETIONS.read(as_json({**given, "model": name}))

    return await complete(request, project, read)
