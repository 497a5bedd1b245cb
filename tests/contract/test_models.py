"""Models, embeddings and the errors that every path shares."""

import base64
import struct

import httpx2
import openai
import pytest

MOCK_ALONE = pytest.mark.parametrize("server", ["mock"], indirect=True)  # what does not depend on the engine


def test_the_base_model_is_listed_first_and_fine_tunes_after_the_others(client, job, server):
    listed = [model.id for model in client.models.list()]
    assert not listed[0].startswith("ft:") and job.fine_tuned_model in listed[2:]
    assert httpx2.get(f"{server.url}/health").json()["base_model"] == listed[0]
    assert not any(":ckpt-step-" in name for name in listed)


def test_a_model_can_be_looked_up_by_name(client, job, base):
    assert client.models.retrieve(base).owned_by.startswith("local-api-")
    tuned = client.models.retrieve(job.fine_tuned_model)
    assert tuned.object == "model" and tuned.created >= job.created_at
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("ft:nobody:x::12345678")


@MOCK_ALONE
def test_only_fine_tuned_models_can_be_deleted(client, base, tools):
    with pytest.raises(openai.PermissionDeniedError, match="comes with the server"):
        client.models.delete(base)
    file = tools.upload(client, tools.jsonl(tools.colour_rows(12)))
    job = tools.finished(client, client.fine_tuning.jobs.create(model=base, training_file=file.id, seed=99,
                                                                hyperparameters={"n_epochs": 1}).id)
    assert client.models.delete(job.fine_tuned_model).deleted
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model=job.fine_tuned_model, prompt="x")
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == job.fine_tuned_model, "the job remembers"


def test_embeddings_come_as_floats_and_as_base64(client, server):
    model = client.models.list().data[1].id
    texts = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "Interest rates rose by half a point."]
    plain = client.embeddings.create(model=model, input=texts, encoding_format="float")
    vectors = [item.embedding for item in plain.data]
    assert [item.index for item in plain.data] == [0, 1, 2] and plain.usage.prompt_tokens > 15
    assert all(len(vector) == 384 and abs(sum(v * v for v in vector) - 1) < 1e-3 for vector in vectors)
    packed = client.embeddings.with_raw_response.create(model=model, input=texts[0], encoding_format="base64").http_response.json()
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack("<384f", raw) == pytest.approx(vectors[0], abs=1e-5)
    assert client.embeddings.create(model=model, input=texts[0]).data[0].embedding == pytest.approx(vectors[0], abs=1e-5)


def test_embeddings_of_like_texts_are_closer(client):
    model = client.models.list().data[1].id
    cat, kitten, rates = (item.embedding for item in client.embeddings.create(
        model=model, input=["a cat on the mat", "the cat is on a mat", "interest rates rose sharply"]).data)
    def likeness(one, other):
        return sum(a * b for a, b in zip(one, other, strict=True))
    assert likeness(cat, kitten) > likeness(cat, rates) + 0.2


def test_embeddings_take_token_ids_and_fewer_dimensions(client):
    model = client.models.list().data[1].id
    short = client.embeddings.create(model=model, input=[list(range(1000, 1060)), list(range(2000, 2060))], dimensions=16)
    assert [len(item.embedding) for item in short.data] == [16, 16]
    assert sum(v * v for v in short.data[0].embedding) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("options", "param"), [({"input": []}, "input"), ({"input": ""}, "input"), ({"input": ["a", ""]}, "input"),
                                                ({"dimensions": 385}, "dimensions"), ({"encoding_format": "hex"}, "encoding_format")])
def test_embeddings_that_cannot_be_made_are_refused(client, options, param):
    with pytest.raises(openai.BadRequestError) as refusal:
        client.embeddings.create(**{"model": client.models.list().data[1].id, "input": "a", **options})
    assert refusal.value.body["param"] == param


def test_a_model_is_used_for_what_it_is(client, base):
    embedder = client.models.list().data[1].id
    with pytest.raises(openai.BadRequestError, match="it does not complete text"):
        client.completions.create(model=embedder, prompt="x")
    with pytest.raises(openai.NotFoundError, match="the embedding model of this server is"):
        client.embeddings.create(model=base, input="x")


@MOCK_ALONE
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic abc", "wrong"])
def test_without_the_key_nothing_is_told(server, header):
    with httpx2.Client(base_url=f"{server.url}/v1", headers={"authorization": header} if header else {}) as http:
        for path in ("models", "files", "fine_tuning/jobs", "models/x"):
            answer = http.get(path)
            assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_api_key"
        for path in ("completions", "chat/completions", "embeddings", "files", "fine_tuning/jobs"):
            assert http.post(path, content=b"{}").status_code == 401


def test_health_needs_no_key_and_says_what_runs(server):
    health = httpx2.get(f"{server.url}/health").json()
    assert health["status"] == "ok" and health["engine"] == server.engine and health["queue_length"] == 0
    assert health["instance"] == server.discovered()["instance"]


@MOCK_ALONE
@pytest.mark.parametrize(("method", "path", "content", "status"), [
    ("GET", "nothing/here", b"", 404), ("PUT", "files", b"", 405), ("POST", "completions", b"not json", 400),
    ("POST", "completions", b"[1]", 400), ("POST", "completions", b"\xff\xfe", 400), ("POST", "completions", b'{"model": 7}', 400),
    ("POST", "completions", b'{"model": "\\ud800"}', 400), ("POST", "completions", b"[" * 100_000, 400),
    ("POST", "files", b"", 400), ("POST", "fine_tuning/jobs", b"{}", 400), ("GET", "files?limit=many", b"", 400),
    ("GET", "fine_tuning/jobs?limit=0", b"", 400), ("GET", "files?order=sideways", b"", 400),
])
def test_every_refusal_comes_in_the_envelope(server, client, method, path, content, status):
    answer = httpx2.request(method, f"{server.url}/v1/{path}", content=content,
                           headers={"authorization": f"Bearer {client.api_key}", "content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"} and set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["type"] == "invalid_request_error"
