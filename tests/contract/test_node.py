"""The npm packages `openai`, today's and that of 2022, run by Node.js: what they are asked is in node/. `make conformance` gets them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
MODULES = HERE.parents[1] / "build" / "conformance" / "node_modules"
NODE = shutil.which("node")
pytestmark = [
    pytest.mark.parametrize("server", ["mock"], indirect=True),
    pytest.mark.skipif(NODE is None, reason="Node.js is not installed; with it, `make conformance` runs this"),
    pytest.mark.skipif(not (MODULES / "openai-of-2022").is_dir(), reason="the npm packages are not there; `make conformance` gets them and runs this"),
]


@pytest.fixture
def run(server, client, tools, tmp_path):
    """Runs a script on a training file; what it printed."""
    def run(script):
        train = tmp_path / "train.jsonl"
        train.write_bytes(tools.jsonl(tools.colour_rows(24)))
        ran = subprocess.run([NODE, HERE / "node" / script, MODULES, f"{server.url}/v1", client.api_key, train], capture_output=True, text=True,
                             timeout=200, check=False, env={"PATH": "/usr/bin:/bin"})
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)
    return run


def test_today_s_package_uploads_trains_follows_asks_and_streams(run):
    told = run("today.cjs")
    assert told["status"] == "succeeded" and told["model"].split(":")[3] == "node" and told["checkpoints"] == 2
    assert told["events"][0] == "The job has successfully completed" and told["events"][-1].startswith("Created fine-tuning job: ftjob-")
    assert told["completion"] == told["streamed"] == " red"
    assert told["chat"] == told["response"] == told["final"] != ""
    assert told["vector"] == 384 and told["refusal"] == ["NotFoundError", 404, "model_not_found", "model"]


def test_the_package_of_2022_runs_the_guide_s_lines(run):
    told = run("of_2022.cjs")
    assert told["status"] == "succeeded" and told["model"].startswith("ada:ft-") and told["listed"] and told["deleted"]
    assert told["events"][0].startswith("Created fine-tune: ft-") and told["events"][-1] == "Fine-tune succeeded"
    assert told["text"].startswith(" red")
