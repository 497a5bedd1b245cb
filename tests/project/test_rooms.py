"""Who may import whom: the rooms of the local API, and the wall between it and the helpers."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Room:
    """A package or module. Of ours it may import itself and `ours`; of the packages of others all but `not_theirs`."""

    name: str
    ours: tuple[str, ...]
    not_theirs: tuple[str, ...] = ()


HTTP = ("fastapi", "starlette", "uvicorn", "httpx", "openai")
DATABASE = ("sqlite3",)
ROOMS = (
    Room("helpers", ()),
    Room("local_api", ()),
    Room("local_api.engines", (), HTTP + DATABASE),
    Room("local_api.wire", ("local_api.errors",), ("fastapi", "starlette", *DATABASE)),
    Room("local_api.errors", (), HTTP + DATABASE),
    Room("local_api.store", ("local_api.errors",), HTTP),
    Room("local_api.training_files", ("local_api.engines.protocols", "local_api.errors"), HTTP + DATABASE),
    Room("local_api.worker", ("local_api.store", "local_api.engines", "local_api.errors", "local_api.settings",
                              "local_api.training_files", "local_api.logs"), HTTP),
    Room("local_api.logs", (), HTTP + DATABASE),
    Room("local_api.routes", ("local_api.wire", "local_api.store", "local_api.engines.protocols", "local_api.errors",
                              "local_api.auth", "local_api.context", "local_api.sse", "local_api.answers", "local_api.jobs",
                              "local_api.training_files", "local_api.legacy", "local_api.__version__", "local_api.conversations",
                              "local_api.responses", "local_api.routes"), ("uvicorn",)),
    Room("local_api.legacy", ("local_api.wire", "local_api.store", "local_api.engines.protocols", "local_api.errors",
                              "local_api.context", "local_api.jobs"), HTTP),
)
OURS = ("local_api", "helpers", "benchmarks", "tests")


def imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that a file imports, at the top or inside a function; of `from a import b` a.b."""
    package = path.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[:len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def trespasses(room: Room, root: Path) -> list[str]:
    """Imports that the room may not make, as "file:line imports name"."""
    place = root.joinpath(*room.name.split("."))
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    assert files, f"{room.name} has no files"
    found = []
    for file in files:
        for line, name in imports(file, root):
            ours = within(name, OURS)
            if (ours and not within(name, (room.name, *room.ours))) or (not ours and within(name, room.not_theirs)):
                found.append(f"{file.relative_to(root)}:{line} imports {name}")
    return found


@pytest.mark.parametrize("room", ROOMS, ids=[room.name for room in ROOMS])
def test_a_room_imports_only_what_it_may_know(room: Room, root: Path) -> None:
    assert trespasses(room, root) == []


@pytest.mark.parametrize(("room", "source", "trespass"), [
    ("local_api.engines", "import fastapi\n", "1 imports fastapi"),
    ("local_api.engines", "def train():\n    from ..store import Store\n", "2 imports local_api.store.Store"),
    ("local_api.engines", "import sqlite3\n", "1 imports sqlite3"),
    ("local_api.routes", "from local_api.engines import load_engine\n", "1 imports local_api.engines.load_engine"),
    ("local_api.worker", "from local_api import wire\n", "1 imports local_api.wire"),
    ("local_api.store", "from local_api.worker.queue import Worker\n", "1 imports local_api.worker.queue.Worker"),
    ("local_api.wire", "from local_api.store import Store\n", "1 imports local_api.store.Store"),
    ("local_api", "import helpers.tokens\n", "1 imports helpers.tokens"),
    ("helpers", "from local_api.store import Store\n", "1 imports local_api.store.Store"),
])
def test_a_planted_trespass_is_found(room: str, source: str, trespass: str, tmp_path: Path) -> None:
    planted = tmp_path.joinpath(*room.split("."), "planted.py")
    planted.parent.mkdir(parents=True)
    planted.write_text(source, encoding="utf-8")
    rule = next(each for each in ROOMS if each.name == room)
    assert trespasses(rule, tmp_path) == [f"{planted.relative_to(tmp_path)}:{trespass}"]


@pytest.mark.parametrize(("room", "source"), [
    ("local_api.routes", "from fastapi import APIRouter\nfrom local_api.engines.protocols import EngineError\n"),
    ("local_api.worker", "from local_api.engines import load_engine\nimport sqlite3\n"),
    ("local_api.engines", "from .protocols import Engine\nfrom . import mock\nimport torch\n"),
])
def test_an_import_that_is_allowed_is_left_alone(room: str, source: str, tmp_path: Path) -> None:
    planted = tmp_path.joinpath(*room.split("."), "planted.py")
    planted.parent.mkdir(parents=True)
    planted.write_text(source, encoding="utf-8")
    assert trespasses(next(each for each in ROOMS if each.name == room), tmp_path) == []


def readers_of_the_environment(folder: Path) -> set[str]:
    """Files that name os.environ or os.getenv."""
    return {file.name for file in folder.rglob("*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
            and isinstance(node.value, ast.Name) and node.value.id == "os"}


def test_the_settings_alone_read_the_environment(root: Path) -> None:
    # openmp.py and onednn.py read no setting of ours: they hand two libraries their own variables.
    assert readers_of_the_environment(root / "local_api") == {"settings.py", "openmp.py", "onednn.py"}
