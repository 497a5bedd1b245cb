"""What the tests of the project itself share: its root, its files, and the scripts as modules."""

import fnmatch
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))  # the scripts are run by path, not installed: this is how they are imported


def project_files(root: Path) -> list[Path]:
    """Every file that is or could be committed: all but what .gitignore names. Works where there is no git, too."""
    ignored = [line.rstrip("/") for line in (root / ".gitignore").read_text(encoding="utf-8").splitlines() if line.strip()]
    files = []
    for folder, names, file_names in os.walk(root):
        names[:] = [name for name in names
                    if name != ".git" and not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]
        files += [Path(folder) / name for name in file_names if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]
    return sorted(files)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    return project_files(ROOT)


def read_index() -> list[dict[str, Any]]:
    return yaml.safe_load((ROOT / "notebooks" / "index.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def index() -> list[dict[str, Any]]:
    """The entries of notebooks/index.yaml. None at all would leave the tests with nothing to test."""
    entries = read_index()
    assert entries, "notebooks/index.yaml lists no notebook"
    return entries


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`notebook_path` runs over the notebooks of the index, `solution_path` over their solutions."""
    for name, folder in (("notebook_path", "notebooks"), ("solution_path", "notebooks/solutions")):
        if name in metafunc.fixturenames:
            paths = [ROOT / folder / entry["file"] for entry in read_index()]
            assert paths, "notebooks/index.yaml lists no notebook"
            metafunc.parametrize(name, paths, ids=[path.stem for path in paths])
