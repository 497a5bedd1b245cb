"""`/v1/responses`: plain text in, text out, whole and streamed; and how many tokens an input has."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from local_api import responses as rules
from local_api.answers import CLIENT_LEFT, answer_all, find_model, order_from, unless_left
from local_api.context import Context, context, project
from local_api.engines.protocols import GenerationRequest
from local_api.errors import NotFound
from local_api.sse import Json, stream
from local_api.store.ids import new_id
from local_api.wire import INPUT_TOKENS, RESPONSES

router = APIRouter(prefix="/v1/responses")


@router.post("", openapi_extra=RESPONSES.openapi())
async def create_response(request: Request) -> Response:
    here = context(request)
    body, engine_request = await order_from(await request.body(), partial(read, here, project(request)))
    head = rules.head(here, body)
    if body.get("stream"):
        return await stream(rules.events(here, engine_request, head), named=True)
    answers = await unless_left(request, answer_all(here.generator, [engine_request]))
    if answers is None:
        return Response(status_code=CLIENT_LEFT)
    return Json(rules.shape(head, new_id("msg_"), answers[0], len(engine_request.prompt), here.clock()))


def read(here: Context, project: str, raw: bytes) -> tuple[dict[str, Any], GenerationRequest]:
    body = RESPONSES.read(raw)
    return body, rules.parse(here, project, body)


@router.post("/input_tokens", openapi_extra=INPUT_TOKENS.openapi())
async def count_input_tokens(request: Request, project: str = Depends(project)) -> dict[str, Any]:
    here = context(request)
    n_tokens = await order_from(await request.body(), partial(count, here, project))
    return {"object": "response.input_tokens", "input_tokens": n_tokens}


def count(here: Context, project: str, raw: bytes) -> int:
    body = INPUT_TOKENS.read(raw)
    rules.schema_of(body)  # takes no tokens here, but must be right
    return len(rules.conversation(here, find_model(here, project, body["model"]), body))


@router.api_route("/{response_id:path}", methods=["GET", "POST", "DELETE"], include_in_schema=False)
def refuse_kept(response_id: str, project: str = Depends(project)) -> Response:
    raise NotFound(f"No response `{response_id}`: the local API does not keep responses. Send the conversation whole instead.",
                   param="response_id")
