"""Removes what the project's commands have made. It knows names, not contents, and needs the standard library alone.

    python3 scripts/clean.py                 # .venv, build, caches, .local_api
    python3 scripts/clean.py --model-cache   # and the base model in the user's cache
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from stop_server import stop

ROOT = Path(__file__).resolve().parent.parent
AT_THE_ROOT = (".venv", "build", ".local_api", ".pytest_cache", ".ruff_cache", ".hypothesis", "fine_tuning_cookbook.egg-info")
ANYWHERE = {"__pycache__", ".ipynb_checkpoints"}
WHAT = {".local_api": "your models, jobs and files", ".venv": "the virtual environment", "build": "executed notebooks and logs"}


def model_cache() -> Path:
    """The folder that platformdirs names for this project; written out, since `.venv` may be broken or gone."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fine-tuning-cookbook"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fine-tuning-cookbook"


def found(root: Path) -> Iterator[Path]:
    """What there is to remove below root."""
    yield from (root / name for name in AT_THE_ROOT if (root / name).exists())
    for folder, names, _ in os.walk(root):
        names[:] = [name for name in names if name not in {".git", *AT_THE_ROOT}]
        yield from (Path(folder) / name for name in names if name in ANYWHERE)


def size(path: Path) -> int:
    """Bytes of a folder, of its links the links themselves."""
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_symlink() or file.is_file())


def agreed(paths: list[Path], root: Path) -> bool:
    """Say what goes. At a terminal the user is asked, as trained models cannot be brought back."""
    print("To be removed:")
    small = 0
    for path in paths:
        if path.name in ANYWHERE:
            small += 1
            continue
        name = path.relative_to(root) if path.is_relative_to(root) else path
        note = f"  ({WHAT[path.name]})" if path.name in WHAT else ""
        print(f"  {size(path) / 1e6:7.0f} MB  {name}{note}")
    if small:
        print(f"              and {small} folders of caches (__pycache__ and the like)")
    sys.stdout.flush()
    return not sys.stdin.isatty() or input("Remove them? [y/N] ").strip().lower() in {"y", "yes"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Removes what the project's commands have made.")
    parser.add_argument("--model-cache", action="store_true", help="also the base model in the user's cache")
    options = parser.parse_args()
    paths = list(found(ROOT))
    if options.model_cache and model_cache().exists():
        paths.append(model_cache())
    if not paths:
        print("Nothing to remove.")
        return
    if not agreed(paths, ROOT):
        sys.exit("Nothing was removed.")
    if stop(ROOT / ".local_api"):
        print("The local API server was running; it is stopped.")
    for path in paths:
        shutil.rmtree(path)
    if not options.model_cache and model_cache().exists():
        print(f"The base model stays in {model_cache()} ({size(model_cache()) / 1e6:.0f} MB); `make clean-all` removes it too.")


if __name__ == "__main__":
    main()
