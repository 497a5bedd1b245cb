"""The scripts behind the verbs: running, tidying, stopping and cleaning."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clean
import nbformat
import pytest
import run_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_tidy import WIDGET, tidy
from stop_server import stop

SERVER = """
import http.server, json, os, signal, sys
from pathlib import Path
discovery = Path(sys.argv[1])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"instance": "the-token"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments): ...
def end(*arguments):
    discovery.unlink()
    os._exit(0)
signal.signal(signal.SIGTERM, end)
server = http.server.HTTPServer(("127.0.0.1", 0), Health)
facts = {"url": f"http://127.0.0.1:{server.server_port}", "pid": os.getpid(), "instance": sys.argv[2]}
discovery.write_text(json.dumps(facts))
print("ready", flush=True)
server.serve_forever()
"""


def start_server(folder: Path, instance: str) -> subprocess.Popen[str]:
    """A process that keeps the local API's promise about its discovery file, /health and SIGTERM."""
    command = [sys.executable, "-c", SERVER, folder / "server.json", instance]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with start_server(tmp_path, "the-token") as process:
        yield process
        process.kill()


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the number and the port of a server that died."""
    with start_server(tmp_path, "another-token") as process:
        yield process
        process.kill()


def test_a_running_server_is_stopped(running: subprocess.Popen[str], tmp_path: Path) -> None:
    assert stop(tmp_path)
    assert running.wait(5) == 0
    assert not stop(tmp_path), "it does not run any more"


def test_the_local_api_itself_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local_api", "--data-dir", tmp_path, "--port", "0", "--engine", "mock"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 60
        while not (tmp_path / "server.json").exists():
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        assert stop(tmp_path)
        assert server.wait(10) == 0


def test_a_process_with_the_number_of_a_dead_server_is_left_alone(stranger: subprocess.Popen[str], tmp_path: Path) -> None:
    assert not stop(tmp_path)
    assert stranger.poll() is None


def test_a_torn_discovery_file_means_no_server(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text('{"url": "http', encoding="utf-8")
    assert not stop(tmp_path)


def executed(tmp_path: Path, *sources: str) -> tuple[Any, str | None]:
    path = tmp_path / "00_small.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Small"), *map(new_code_cell, sources)]), path)
    return run_notebook.execute(path, "mock")


def test_a_notebook_runs_in_a_fresh_environment_with_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "must-not-be-used")
    ask = "import os, sys\n[os.environ.get('OPENAI_API_KEY'), os.environ['LOCAL_API_ENGINE'], sys.prefix]"
    notebook, failure = executed(tmp_path, ask, "os.path.exists(os.environ['LOCAL_API_DATA_DIR'])")
    assert failure is None
    assert notebook.cells[1].outputs[0].data["text/plain"] == repr([None, "mock", sys.prefix])
    assert notebook.cells[2].outputs[0].data["text/plain"] == "False", "the data directory is not there before the server"
    assert [cell.get("execution_count") for cell in notebook.cells[1:]] == [1, 2]
    progress = capsys.readouterr().out.splitlines()
    assert progress[0].startswith("    1 of 2  import os, sys") and progress[0].endswith(" s")
    assert os.environ["OPENAI_API_KEY"] == "must-not-be-used"


def test_a_failing_cell_is_told_with_its_code_and_its_error(tmp_path: Path) -> None:
    _, failure = executed(tmp_path, "x = 1", "x / 0", "never = True")
    assert failure is not None and "x / 0" in failure and "ZeroDivisionError" in failure


def test_a_failed_run_ends_with_status_1_and_leaves_the_notebook_as_it_was(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "00_bad.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    monkeypatch.setattr(sys, "argv", ["run_notebook.py", "--in-place", "--engine", "mock", str(path)])
    assert run_notebook.main() == 1
    told = capsys.readouterr().err
    assert "00_bad.ipynb failed" in told and "ZeroDivisionError" in told
    assert path.read_bytes() == before


def test_a_run_writes_a_notebook_and_a_page(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[new_code_cell("6 * 7", outputs=[new_output("execute_result", data={"text/plain": "42"})])])
    run_notebook.write_pages(notebook, tmp_path / "solutions" / "00_small.ipynb", tmp_path / "build")
    assert "42" in (tmp_path / "build" / "00_small_solution.html").read_text(encoding="utf-8")
    assert nbformat.read(tmp_path / "build" / "00_small_solution.ipynb", as_version=4).cells[0].source == "6 * 7"


def test_an_unknown_notebook_is_refused_with_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "00_start.ipynb").touch()
    monkeypatch.setattr(run_notebook, "NOTEBOOKS", tmp_path)
    assert run_notebook.chosen(["00"]) == [tmp_path / "00_start.ipynb"]
    with pytest.raises(SystemExit, match=r"No notebook '99'\..*Notebooks: 00_start\."):
        run_notebook.chosen(["99"])


def test_all_means_notebooks_then_solutions_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "solutions").mkdir()
    for name in ("05_b.ipynb", "00_a.ipynb", "solutions/00_a.ipynb"):
        (tmp_path / name).touch()
    monkeypatch.setattr(run_notebook, "NOTEBOOKS", tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in run_notebook.chosen(["all", "00"])] == [
        "00_a.ipynb", "05_b.ipynb", "solutions/00_a.ipynb"]


def test_tidying_takes_what_changes_and_leaves_what_teaches() -> None:
    outputs = [new_output("stream", name="stderr", text="a progress bar"), new_output("stream", name="stdout", text="kept"),
               new_output("display_data", data={WIDGET: {}, "text/plain": "IntProgress(value=0)"}),
               new_output("display_data", data={WIDGET: {}, "text/plain": "Figure()", "image/png": "iVBOR"}),
               new_output("execute_result", data={"text/plain": "42"}, metadata={"at": "noon"})]
    cell = new_code_cell("6 * 7", execution_count=1, outputs=outputs, metadata={"tags": ["x"], "execution": {"shell": "now"}})
    notebook = new_notebook(cells=[cell], metadata={"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}})
    result = tidy(notebook)
    assert [output.get("text") or dict(output.data) for output in result.cells[0].outputs] == [
        "kept", {"image/png": "iVBOR"}, {"text/plain": "42"}]
    assert result.cells[0].metadata == {"tags": ["x"]} and result.cells[0].outputs[-1].metadata == {}
    assert result.metadata.language_info == {"name": "python"} and "widgets" not in result.metadata
    assert tidy(result) == result
    assert len(notebook.cells[0].outputs) == 5, "the notebook that came in is as it was"


def test_cleaning_finds_what_was_made_and_nothing_else(tmp_path: Path) -> None:
    for name in (".venv/lib/__pycache__", "build", ".local_api", "helpers/__pycache__", "notebooks/.ipynb_checkpoints", "data",
                 ".git/x"):
        (tmp_path / name).mkdir(parents=True)
    assert {str(path.relative_to(tmp_path)) for path in clean.found(tmp_path)} == {
        ".venv", "build", ".local_api", "helpers/__pycache__", "notebooks/.ipynb_checkpoints"}


def test_cleaning_says_first_what_goes_then_stops_the_server_and_removes_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".local_api").mkdir()
    (tmp_path / "cache").mkdir()
    stopped = []
    monkeypatch.setattr(clean, "ROOT", tmp_path)
    monkeypatch.setattr(clean, "model_cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(clean, "stop", lambda folder: stopped.append(folder.exists()))
    monkeypatch.setattr(sys, "argv", ["clean.py"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    clean.main()
    assert stopped == [True] and not (tmp_path / ".local_api").exists() and (tmp_path / "cache").exists()
    assert ".local_api  (your models, jobs and files)" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["clean.py", "--model-cache"])
    clean.main()
    assert not (tmp_path / "cache").exists()


def test_at_a_terminal_nothing_is_removed_without_a_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "build").mkdir()
    monkeypatch.setattr(clean, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["clean.py"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "")
    with pytest.raises(SystemExit, match=r"Nothing was removed\."):
        clean.main()
    assert (tmp_path / "build").exists()


def test_the_cache_to_be_cleaned_is_the_one_that_is_filled(cache_dir: Path) -> None:
    assert clean.model_cache() == cache_dir
