"""Each JSON answer of today's endpoints, held to the official client's types and to the public description of the hosted API.

The description is the file that HOSTED_API_DESCRIPTION names, or the one that `make conformance` gets.
"""

import functools
import json
import os
import re
from pathlib import Path

import httpx2
import openai.types as types
import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from openai.types import chat, fine_tuning, responses
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from pydantic import BaseModel, TypeAdapter

pytestmark = pytest.mark.parametrize("server", ["mock"], indirect=True)  # shapes do not depend on the engine
FETCHED = Path(__file__).resolve().parents[2] / "build" / "conformance" / "openapi.yml"
DESCRIPTION = Path(os.environ.get("HOSTED_API_DESCRIPTION", FETCHED))
HELLO = [{"role": "user", "content": "Hello"}]
FORMAT = {"type": "json_schema", "name": "a", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
TRAINING = "/fine_tuning/jobs"
JOB = f"{TRAINING}/{{fine_tuning_job_id}}"
# What the official client's types do not know: extensions of ours, what the service sends without a type for it, and the beta of a
# dpo job in the older of the two places of hyperparameters.
OURS = {"FineTuningJob.lineage", "FineTuningJob.queue_position", "FineTuningJob.user_provided_suffix", "Model.lineage", "Model.parent", "Model.root",
        "Response.store", "Hyperparameters.beta"}
# What the hosted service does although its description and types do not say so: the status of a job that is paused (the path
# /pause is described), and `"usage": null` in the chunks before the last where usage is asked for (which the text beside it says).
KNOWN = [("paused", ".status"), (None, "$.usage")]
# Paths of ours for which there is no description: the API of 2021, and what is nobody's but ours.
NOT_DESCRIBED = {"/health", "/v1/engines/{}/completions", "/v1/fine-tunes", "/v1/fine-tunes/{}", "/v1/fine-tunes/{}/cancel", "/v1/fine-tunes/{}/events"}
LISTS = {"/files": types.FileObject, "/models": types.Model, TRAINING: fine_tuning.FineTuningJob, f"{JOB}/events": fine_tuning.FineTuningJobEvent,
         f"{JOB}/checkpoints": FineTuningJobCheckpoint}
TYPES = {("POST", "/files"): types.FileObject, ("GET", "/files/{file_id}"): types.FileObject, ("DELETE", "/files/{file_id}"): types.FileDeleted,
         ("GET", "/models/{model}"): types.Model, ("DELETE", "/models/{model}"): types.ModelDeleted,
         ("POST", TRAINING): fine_tuning.FineTuningJob, ("GET", JOB): fine_tuning.FineTuningJob, ("POST", f"{JOB}/pause"): fine_tuning.FineTuningJob,
         ("POST", f"{JOB}/resume"): fine_tuning.FineTuningJob, ("POST", f"{JOB}/cancel"): fine_tuning.FineTuningJob,
         ("POST", "/completions"): types.Completion, ("POST", "/chat/completions"): chat.ChatCompletion,
         ("POST", "/embeddings"): types.CreateEmbeddingResponse, ("POST", "/responses"): responses.Response,
         ("POST", "/responses/input_tokens"): responses.InputTokenCountResponse}
STREAMS = {"/completions": (types.Completion, "CreateCompletionResponse"),
           "/chat/completions": (chat.ChatCompletionChunk, "CreateChatCompletionStreamResponse"),
           "/responses": (responses.ResponseStreamEvent, "ResponseStreamEvent")}


@pytest.fixture(scope="module")
def exchanges(client, job, base, tools):
    """(method, path as described, status, whether streamed, answers) of one request of each kind."""
    told = []
    model, embedder = job.fine_tuned_model, client.models.list().data[1].id
    with httpx2.Client(headers={"authorization": f"Bearer {client.api_key}"}, timeout=60) as http:
        def ask(method, path, body=None, query="", status=200, **names):
            url = str(client.base_url).rstrip("/") + re.sub(r"\{(\w+)\}", lambda found: names[found[1]], path) + query
            answer = http.request(method, url, **({"json": body} if body is not None else {}))
            assert answer.status_code == status, answer.text
            streamed = answer.headers["content-type"].startswith("text/event-stream")
            lines = re.findall(r"^data: (\{.*)$", answer.text, re.M) if streamed else [answer.text]
            told.append((method, path, status, streamed, [json.loads(line) for line in lines]))
            return told[-1][-1][0]

        file = http.post(f"{client.base_url}files", files={"file": ("a.jsonl", tools.jsonl(tools.colour_rows(300)))}, data={"purpose": "fine-tune"})
        told.append(("POST", "/files", file.status_code, False, [file.json()]))
        order = {"model": base, "training_file": file.json()["id"], "hyperparameters": {"n_epochs": 50, "batch_size": 1}, "metadata": {"a": "b"}}
        waiting = [ask("POST", TRAINING, order)["id"] for _ in range(4)]
        for step in ("pause", "resume", "cancel"):
            ask("POST", f"{JOB}/{step}", fine_tuning_job_id=waiting[-1])
        for other in waiting[:-1]:  # one of them may have ended meanwhile
            http.post(f"{client.base_url}fine_tuning/jobs/{other}/cancel")
        for path, query in ((TRAINING, "?limit=3"), (TRAINING, "?metadata[course]=colours"), (JOB, ""), (f"{JOB}/events", "?limit=100"), (f"{JOB}/checkpoints", "")):
            ask("GET", path, query=query, fine_tuning_job_id=job.id)
        dpo = ask("POST", TRAINING, {"model": base, "training_file": order["training_file"], "method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}}})
        tools.finished(client, dpo["id"])
        ask("GET", JOB, fine_tuning_job_id=dpo["id"])  # which failed: its file has no preferences
        ask("GET", "/files", query="?purpose=fine-tune&limit=2&order=asc")
        ask("GET", "/files/{file_id}", file_id=job.result_files[0])
        ask("GET", "/models")
        ask("GET", "/models/{model}", model=model)
        ask("POST", "/completions", {"model": model, "prompt": ["a", "b"], "n": 2, "logprobs": 2, "max_tokens": 3})
        ask("POST", "/completions", {"model": model, "prompt": "a", "stream": True, "stream_options": {"include_usage": True}})
        ask("POST", "/chat/completions", {"model": model, "messages": HELLO, "logprobs": True, "top_logprobs": 2, "max_tokens": 3})
        ask("POST", "/chat/completions", {"model": model, "messages": HELLO, "max_tokens": 3, "stream": True, "stream_options": {"include_usage": True}})
        ask("POST", "/embeddings", {"model": embedder, "input": ["a", "b"]})
        for more in ({}, {"max_output_tokens": 16, "instructions": "Be brief.", "metadata": {"a": "b"}}, {"text": {"format": FORMAT}},
                     {"include": ["message.output_text.logprobs"], "top_logprobs": 2}, {"stream": True}):
            ask("POST", "/responses", {"model": model, "input": HELLO, **more})
        ask("POST", "/responses/input_tokens", {"model": model, "input": "Hello"})
        small = {"model": base, "training_file": order["training_file"], "seed": 5, "hyperparameters": {"n_epochs": 1, "batch_size": 256}}
        ask("DELETE", "/models/{model}", model=tools.finished(client, client.fine_tuning.jobs.create(**small).id).fine_tuned_model)
        ask("DELETE", "/files/{file_id}", file_id=order["training_file"])
        ask("GET", "/files/{file_id}", file_id="file-none", status=404)
        ask("POST", "/completions", {"model": model, "prompt": "a", "n": 0}, status=400)
    return told


def test_every_answer_is_what_the_official_client_s_types_say(exchanges):
    strangers = set()
    for method, path, status, streamed, answers in exchanges:
        if status != 200:
            continue
        listed = method == "GET" and path in LISTS
        kind = STREAMS[path][0] if streamed else LISTS[path] if listed else TYPES[method, path]
        for answer in answers:
            for one in answer["data"] if listed else [answer]:
                strangers |= set(strange(TypeAdapter(kind).validate_json(json.dumps(typed(one)), strict=True)))
    assert strangers == OURS


def typed(answer):
    """The answer without what the client's types leave out: see KNOWN; and chunks of a completion, the last excepted, have no reason."""
    if answer.get("status") == "paused":
        return {**answer, "status": "queued"}
    if answer.get("object") == "text_completion":
        return {**answer, "choices": [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in answer["choices"]]}
    return answer


def strange(value):
    """The fields that the type of a value, or of anything in it, does not know."""
    if isinstance(value, BaseModel):
        yield from (f"{type(value).__name__}.{name}" for name in value.__pydantic_extra__ or ())
        for field in type(value).model_fields:
            yield from strange(getattr(value, field))
    elif isinstance(value, list):
        for one in value:
            yield from strange(one)


@functools.cache
def described():
    """The description, its flags of an older JSON Schema rewritten: `exclusiveMinimum: true` beside a minimum."""
    def modern(node):
        if isinstance(node, list):
            return [modern(part) for part in node]
        if not isinstance(node, dict):
            return node
        node = {key: modern(part) for key, part in node.items()}
        for flag, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(node.get(flag), bool) and node.pop(flag) and limit in node:
                node[flag] = node.pop(limit)
        return node

    if not DESCRIPTION.is_file():
        pytest.skip("no description of the hosted API: set HOSTED_API_DESCRIPTION to its file, or run `make conformance`")
    return modern(yaml.load(DESCRIPTION.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def schema_for(method, path, status, streamed):
    if status != 200:
        return {"$ref": "#/components/schemas/ErrorResponse"}
    if streamed:
        return {"$ref": f"#/components/schemas/{STREAMS[path][1]}"}
    return described()["paths"][path][method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]


def test_every_answer_validates_against_the_public_description(exchanges):
    found = []
    for method, path, status, streamed, answers in exchanges:
        validator = Draft202012Validator({**schema_for(method, path, status, streamed), "components": described()["components"]})
        for answer in answers:
            error = best_match(validator.iter_errors(answer))
            if error and not any(error.instance == value and error.json_path.endswith(place) for value, place in KNOWN):
                found.append(f"{method} {path} {status}: {error.json_path}: {error.message[:300]}")
    assert not found, "\n".join(found)


def test_what_the_public_description_does_not_cover_is_known(server, exchanges):
    ours = httpx2.get(f"{server.url}/openapi.json").json()["paths"]
    theirs = {"/v1" + re.sub(r"\{\w+\}", "{}", path) for path in described()["paths"]}
    assert {path for path in (re.sub(r"\{\w+\}", "{}", path) for path in ours) if path not in theirs} == NOT_DESCRIBED


def test_every_path_that_is_ours_and_answers_in_json_was_asked(server, exchanges):
    ours = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path, methods in httpx2.get(f"{server.url}/openapi.json").json()["paths"].items() for method in methods}
    asked = {(method, "/v1" + re.sub(r"\{\w+\}", "{}", path)) for method, path, *_ in exchanges}
    assert {(method, path) for method, path in ours - asked if path not in NOT_DESCRIBED} == {("GET", "/v1/files/{}/content")}, "which is the file itself"
