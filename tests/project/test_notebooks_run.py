"""Every notebook and solution runs from top to bottom: all on the mock engine, the first on the real one."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from stop_server import stop

pytestmark = pytest.mark.notebook


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A data directory and IPython settings of its own; the server that a notebook starts there ends with the test."""
    data_dir = tmp_path / "data"
    yield dict(os.environ, LOCAL_API_DATA_DIR=str(data_dir), LOCAL_API_ENGINE="mock", IPYTHONDIR=str(tmp_path / "ipython"),
               JUPYTER_PREFER_ENV_PATH="1")
    stop(data_dir)


def nbmake(*paths: Path, root: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=240", "-p", "no:cacheprovider",
                           *map(str, paths)],
                          cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
def test_all_notebooks_run_on_the_mock_engine(root: Path, index: list[dict[str, Any]], environment: dict[str, str]) -> None:
    run = nbmake(*sorted((root / "notebooks").glob("*.ipynb")), root=root, environment=environment)
    summary = run.stdout.strip().splitlines()[-1]
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert re.search(rf"\b{len(index)} passed in ", summary), summary


@pytest.mark.timeout(900)
def test_all_solutions_run_on_the_mock_engine_and_a_notebook_that_fails_is_reported(
        root: Path, index: list[dict[str, Any]], tmp_path: Path, environment: dict[str, str]) -> None:
    """A test of its own, so that another process can run it meanwhile; what fails is in it to spare the start of a third."""
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 == 2, 'planted'")])
    nbformat.write(broken, tmp_path / "broken.ipynb")
    run = nbmake(root / "notebooks" / "solutions", tmp_path / "broken.ipynb", root=root, environment=environment)
    summary = run.stdout.strip().splitlines()[-1]
    assert run.returncode == 1 and "planted" in run.stdout
    assert re.search(rf"\b1 failed, {len(index)} passed in ", summary), run.stdout[-8000:] + run.stderr[-2000:]


@pytest.mark.lora
@pytest.mark.timeout(600)
def test_the_first_notebook_runs_on_the_real_engine(root: Path, tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "scripts/run_notebook.py", "--engine", "lora", "--build-dir", tmp_path, "00"], cwd=root,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-8000:]
    assert (tmp_path / "00_start_here.html").stat().st_size > 10_000
