"""Structured logs: a line for each request and each trouble, and nothing that anybody wrote in them."""

import asyncio
import dataclasses
import json
import logging
import subprocess
import sys

import httpx
import pytest

from local_api.app import create_app
from local_api.auth import Keys
from local_api.logs import JsonLines, RequestLog

SECRET = "what nobody else may read"


def as_json(record):
    return json.loads(JsonLines().format(record))


def test_a_request_is_one_line_with_its_project_and_the_name_that_its_answer_bears(here, caplog):
    shared = dataclasses.replace(here, keys=Keys({"sk-ann": "ann"}), settings=dataclasses.replace(here.settings, log="json"))
    app = create_app(shared)

    async def run():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return [await client.post(f"/v1/completions?x={SECRET}", headers={"authorization": key}, json={"model": "tiny", "prompt": SECRET, "n": 0})
                    for key in ("Bearer sk-ann", f"Bearer {SECRET}")]
    with caplog.at_level(logging.INFO, logger="local_api.requests"):
        answers = asyncio.run(run())
    found, refused = (as_json(record) for record in caplog.records)
    assert (found["event"], found["project"], found["method"], found["path"], found["status"]) == (
        "request", "ann", "POST", "/v1/completions", 400)
    assert found["request_id"] == answers[0].headers["x-request-id"] and found["request_id"].startswith("req_")
    assert found["bytes"] == len(answers[0].content) and found["seconds"] >= 0
    assert (refused["status"], refused["project"]) == (401, None)
    assert SECRET not in json.dumps([found, refused])


def test_an_exception_is_told_by_its_type_and_places_and_not_by_its_words():
    try:
        raise ValueError(SECRET)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "file", 1, "it failed", (), sys.exc_info())
    line = as_json(record)
    assert (line["event"], line["level"], line["exception"]) == ("it failed", "error", "ValueError")
    assert any("test_logs.py" in place for place in line["places"]) and SECRET not in json.dumps(line)


@pytest.mark.parametrize("trouble", [
    f"raise ValueError({SECRET!r})", f"import threading; t = threading.Thread(target=lambda: int({SECRET!r})); t.start(); t.join()"])
def test_an_exception_that_nobody_catches_is_a_line_of_json_too(trouble):
    said = subprocess.run([sys.executable, "-c", f"from local_api import logs; logs.set_up('json'); {trouble}"], capture_output=True, text=True,
                          check=False).stderr
    [line] = map(json.loads, said.splitlines())
    assert (line["level"], line["exception"]) == ("critical", "ValueError") and SECRET not in said


def test_the_training_process_tells_its_troubles_as_json_too():
    settings = {"log": "json", "engine": SECRET, "cache_dir": ".", "options": {}}
    with subprocess.Popen([sys.executable, "-m", "local_api.worker.process", "ftjob-x", "claim"], text=True, stdin=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:  # its input stays open: it ends by itself where that closes
        child.stdin.write(json.dumps(settings) + "\n")
        child.stdin.flush()
        said = child.stderr.read()
    [line] = map(json.loads, said.splitlines())
    assert line["exception"] == "EngineError" and SECRET not in said


def test_a_warning_is_a_line_of_json_too():
    said = subprocess.run([sys.executable, "-c", "import warnings; from local_api import logs; logs.set_up('json'); warnings.warn('take care')"],
                          capture_output=True, text=True, check=True).stderr
    [line] = map(json.loads, said.splitlines())
    assert line["level"] == "warning" and "take care" in line["event"]


def test_a_request_that_fails_by_a_bug_is_told_as_500(caplog):
    async def app(scope, receive, send):
        raise ZeroDivisionError
    with caplog.at_level(logging.INFO, logger="local_api.requests"), pytest.raises(ZeroDivisionError):
        asyncio.run(RequestLog(app)({"type": "http", "method": "GET", "path": "/v1/x"}, None, None))
    assert as_json(caplog.records[0])["status"] == 500
