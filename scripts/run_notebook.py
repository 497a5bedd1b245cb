"""Executes notebooks from a fresh start: a new kernel, an empty data directory, a server of their own that ends with them.

It knows nothing of what a notebook teaches, and what is committed of one it leaves to `tidy`.

    .venv/bin/python scripts/run_notebook.py 00                      # build/00_start_here.ipynb and .html
    .venv/bin/python scripts/run_notebook.py --in-place all          # outputs into the notebooks and solutions themselves
    .venv/bin/python scripts/run_notebook.py --engine mock notebooks/solutions/00_start_here.ipynb
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from notebook_tidy import tidy
from stop_server import stop

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
CELL_SECONDS = 900  # a cell that takes longer has hung: the longest trains for two minutes


def chosen(names: list[str]) -> list[Path]:
    """The notebooks meant by numbers ("00"), paths or "all" (solutions too). SystemExit names the one that is not there."""
    paths: list[Path] = []
    for name in names:
        if name == "all":
            matches = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")) + sorted(NOTEBOOKS.glob("solutions/[0-9][0-9]_*.ipynb"))
        elif name.endswith(".ipynb"):
            matches = [Path(name).resolve()] if Path(name).is_file() else []
        else:
            matches = sorted(NOTEBOOKS.glob(f"{name}_*.ipynb")) if name.isalnum() else []
        if not matches:
            there = ", ".join(path.stem for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))) or "none"
            sys.exit(f"No notebook {name!r}. Give a number such as 00, a path, or all. Notebooks: {there}.")
        paths += [path for path in matches if path not in paths]
    return paths


@contextmanager
def fresh_start(engine: str) -> Iterator[Path]:
    """An environment in which nothing of the user's, nor of an earlier run, has an influence; yields the data directory."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="cookbook-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "data"
        os.environ.update(LOCAL_API_DATA_DIR=str(data_dir), IPYTHONDIR=str(Path(folder) / "ipython"),
                          JUPYTER_PREFER_ENV_PATH="1", PYDEVD_DISABLE_FILE_VALIDATION="1")
        if engine != "hosted":  # a key in the environment must not make a local run cost money
            os.environ["LOCAL_API_ENGINE"] = engine
            for name in [name for name in os.environ if name.startswith("OPENAI_")]:
                del os.environ[name]
        try:
            yield data_dir
        finally:
            stop(data_dir)
            os.environ.clear()
            os.environ.update(before)


class Progress:
    """A line on the terminal for each cell: which of how many, how it begins, and the seconds it took."""

    def __init__(self, notebook: Any) -> None:
        self.numbers = {index: number for number, index in enumerate(
            (index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()), start=1)}
        self.started = 0.0

    def on_cell_execute(self, cell: Any, cell_index: int) -> None:
        lines = [line for line in cell.source.splitlines() if line.strip()]
        print(f"  {self.numbers[cell_index]:3d} of {len(self.numbers)}  {lines[0][:72]:72} ", end="", flush=True)
        self.started = time.monotonic()

    def on_cell_executed(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        print(f"{time.monotonic() - self.started:6.1f} s", flush=True)


def execute(path: Path, engine: str) -> tuple[Any, str | None]:
    """Run the notebook in its own folder, as JupyterLab does. The executed notebook, and what went wrong or None."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    progress = Progress(notebook)
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False, coalesce_streams=True, record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors alone: the kernel warns of its unencrypted loopback socket
        on_cell_execute=progress.on_cell_execute, on_cell_executed=progress.on_cell_executed)
    with fresh_start(engine) as data_dir:
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            log = data_dir / "server.log"
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if log.exists() else []
            return notebook, "\n".join([str(error), *(["The last lines of the server's log:"] if tail else []), *tail])
    return notebook, None


def write_pages(notebook: Any, path: Path, build: Path) -> None:
    """The executed notebook and an HTML page of it, in the folder `build`."""
    build.mkdir(parents=True, exist_ok=True)
    stem = path.stem + ("_solution" if path.parent.name == "solutions" else "")
    nbformat.write(notebook, build / f"{stem}.ipynb")
    page, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": stem}})
    (build / f"{stem}.html").write_text(page, encoding="utf-8")
    shown = build.relative_to(ROOT) if build.is_relative_to(ROOT) else build
    print(f"  {shown}/{stem}.ipynb\n  {shown}/{stem}.html")


def main() -> int:
    parser = argparse.ArgumentParser(description="Executes notebooks from a fresh start.")
    parser.add_argument("notebooks", nargs="+", help="numbers such as 00, paths, or all")
    parser.add_argument("--engine", choices=("lora", "mock", "hosted"), default="lora",
                        help="lora: a real model on this machine (default); mock: no model; hosted: OPENAI_API_KEY's provider")
    parser.add_argument("--in-place", action="store_true", help="write the outputs into the notebooks instead of build/")
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build", help="another folder than build/")
    options = parser.parse_args()
    for path in chosen(options.notebooks):
        print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path} (engine: {options.engine})", flush=True)
        started = time.monotonic()
        notebook, failure = execute(path, options.engine)
        if not options.in_place:
            write_pages(notebook, path, options.build_dir.resolve())
        elif failure is None:  # a failed run must not overwrite good outputs
            nbformat.write(tidy(notebook), path)
        if failure is not None:
            print(f"\n\n{path.name} failed:\n\n{failure}", file=sys.stderr)
            return 1
        print(f"  done in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
