"""What the hosted API has and this one has not: refused by name, with the reason and what to do instead."""

from fastapi import APIRouter, Depends, Request

from local_api.context import project
from local_api.errors import NotFound

router = APIRouter(include_in_schema=False)
NO_MODEL = "there is no model here for it"
NOT_OURS = "this server is for fine-tuning, and answers with text"
ABSENT = {
    "assistants": "use chat completions", "threads": "use chat completions", "audio": NO_MODEL,
    "batches": "send the requests one by one, several at a time", "chatkit": NOT_OURS, "containers": NOT_OURS,
    "conversations": "send the conversation whole", "edits": NO_MODEL, "evals": "compute the measures from the answers",
    "fine_tuning/alpha": "graders belong to reinforcement fine-tuning, which this server does not do",
    "fine_tuning/checkpoints": "checkpoints are not shared between projects: whoever has the key of a project may use them",
    "images": NO_MODEL, "moderations": "no model here could judge honestly", "organization": NOT_OURS, "projects": NOT_OURS,
    "realtime": NOT_OURS, "skills": NOT_OURS, "uploads": "files are uploaded in one piece: POST /v1/files",
    "vector_stores": "make embeddings and search in them yourself", "videos": NO_MODEL}


def refuse(request: Request, project: str = Depends(project)) -> None:
    path = request.url.path.removeprefix("/v1/")
    name = next(name for name in ABSENT if path == name or path.startswith(f"{name}/"))
    raise NotFound(f"/v1/{name} is not supported by the local API: {ABSENT[name]}.", code="unsupported_endpoint")


for name in ABSENT:
    for path in (f"/v1/{name}", f"/v1/{name}/{{rest:path}}"):
        router.add_api_route(path, refuse, methods=["GET", "POST", "PUT", "PATCH", "DELETE"], response_model=None)
