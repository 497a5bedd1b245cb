"""Requests that schemathesis makes up from the server's own description: right, nearly right and wrong. None may end in a 5xx."""

import os
import subprocess
from pathlib import Path

import httpx2
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "build" / "conformance"
SCHEMATHESIS = FOLDER / "venv" / "bin" / "schemathesis"


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not there; `make conformance` gets it and runs this")
def test_no_request_that_can_be_made_up_breaks_the_server(make_server, tmp_path):
    server = make_server().start()
    key, seconds = server.client().api_key, os.environ.get("MADE_UP_SECONDS", "15")
    ran = subprocess.run(
        [SCHEMATHESIS, "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--checks", "not_a_server_error",
         "--seed", "20261123", "--max-time", seconds, "--phases", "coverage,fuzzing", "--continue-on-failure", "--no-shrink", "--workers", "1",
         "--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "30"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:] + server.log()
    assert httpx2.get(f"{server.url}/health").json()["status"] == "ok" and "Traceback" not in server.log()
