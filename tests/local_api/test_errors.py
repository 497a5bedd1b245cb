"""The error tree, and the answer that each kind of error becomes."""

import asyncio
import sqlite3

import httpx
import pytest

from local_api import errors
from local_api.app import create_app
from local_api.engines.protocols import AdapterError, EngineError, Stopped


@pytest.mark.parametrize(("name", "status", "code", "standard"), [
    ("InvalidRequest", 400, None, ValueError), ("UnsupportedParameter", 400, "unsupported_parameter", ValueError),
    ("Unauthorized", 401, "invalid_api_key", PermissionError), ("Forbidden", 403, "forbidden", PermissionError),
    ("NotFound", 404, "not_found", LookupError), ("MethodNotAllowed", 405, "method_not_allowed", Exception),
    ("Conflict", 409, "conflict", Exception), ("TooLarge", 413, "request_too_large", ValueError),
    ("Unavailable", 503, "unavailable", Exception)])
def test_each_kind_has_its_status_code_and_standard_type(name, status, code, standard):
    error = getattr(errors, name)("Say so.", param="field")
    assert isinstance(error, errors.ApiError) and isinstance(error, standard)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    assert error.status == status and str(error) == "Say so."
    assert error.envelope() == {"error": {"message": "Say so.", "type": kind, "param": "field", "code": code}}
    assert getattr(errors, name)("x", code="own").code == "own", "a code of one's own wins"


def test_a_model_that_is_not_there_is_named_with_advice():
    error = errors.ModelNotFound("m")
    assert error.envelope()["error"] == {"message": "The model `m` does not exist: GET /v1/models lists those that do.",
                                         "type": "invalid_request_error", "param": "model", "code": "model_not_found"}


@pytest.fixture
def answer_to(here):
    """The application's answer to a request during which `error` is raised."""
    def ask(error):
        app = create_app(here)

        def boom():
            raise error
        app.add_api_route("/boom", boom)

        async def get():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://t") as client:
                return await client.get("/boom")
        return asyncio.run(get())
    return ask


@pytest.mark.parametrize(("error", "status", "code", "told"), [
    (errors.Conflict("no", code="own"), 409, "own", "no"),
    (EngineError("too long"), 400, None, "too long"),
    (AdapterError("/secret/path is corrupt"), 500, "model_unavailable", "damaged or missing"),
    (Stopped("closed"), 503, "unavailable", "shutting down"),
    (sqlite3.OperationalError("database is locked"), 503, "unavailable", "did not answer"),
    (RuntimeError("a secret"), 500, "internal_error", "Its log tells more"),
    (KeyError("a secret"), 500, "internal_error", "Its log tells more")])
def test_every_error_becomes_an_envelope_that_tells_no_secrets(answer_to, error, status, code, told):
    answer = answer_to(error)
    body = answer.json()["error"]
    assert answer.status_code == status and body["code"] == code and told in body["message"]
    assert "secret" not in answer.text
    assert body["type"] == ("server_error" if status >= 500 else "invalid_request_error")


@pytest.mark.parametrize("error", [Stopped("x"), sqlite3.OperationalError("x"), errors.Unavailable("x", headers={"retry-after": "9"})])
def test_what_is_worth_another_try_says_when(answer_to, error):
    assert int(answer_to(error).headers["retry-after"]) > 0
