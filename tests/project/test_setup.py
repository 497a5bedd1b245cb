"""The set-up: which Python it takes, what it does again and what not, and what it says when something is missing."""

import ast
import os
import shlex
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import setup as set_up

Usage = namedtuple("Usage", "total used free")


def fake_python(folder: Path, name: str, version: str, *, modules: bool = True) -> Path:
    """A program that answers the three questions of find_python.sh as a Python of that version would."""
    folder.mkdir(parents=True, exist_ok=True)
    too_old = int(tuple(map(int, version.split("."))) < (3, 11))
    program = folder / name
    program.write_text(f"""#!/bin/sh
case "$2" in
  *print*) echo {version} ;;
  *sys.exit*) exit {too_old} ;;
  *ensurepip*) exit {int(not modules)} ;;
esac
""", encoding="utf-8")
    program.chmod(0o755)
    return program


def find_python(root: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a folder without .venv, where `folder` is all of the PATH."""
    return subprocess.run([shutil.which("sh") or "sh", root / "scripts" / "find_python.sh"], cwd=folder, capture_output=True,
                          text=True, check=False, env={"PATH": str(folder), **environment})


def test_the_newest_python_that_works_is_found(root: Path, tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.9.1")
    fake_python(tmp_path, "python3.11", "3.11.2")
    fake_python(tmp_path, "python3.12", "3.12.0")
    (tmp_path / "python3.13").write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")  # a version manager's shim without a version
    (tmp_path / "python3.13").chmod(0o755)
    assert find_python(root, tmp_path).stdout == "python3.12\n"


def test_the_python_of_the_environment_stays_when_a_newer_one_appears(root: Path, tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.13", "3.13.0")
    fake_python(tmp_path / ".venv" / "bin", "python", "3.11.7")
    assert find_python(root, tmp_path).stdout == ".venv/bin/python\n"


def test_a_python_that_is_named_is_taken_whatever_else_there_is(root: Path, tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.13", "3.13.0")
    mine = fake_python(tmp_path / "with space", "mine", "3.11.0")
    assert find_python(root, tmp_path, PYTHON=str(mine)).stdout == f"{mine}\n"


@pytest.mark.parametrize(("version", "modules", "said"), [
    ("3.9.18", True, "python3 is Python 3.9.18: too old"),
    ("3.11.2", False, "sudo apt install python3.11-venv"),
])
def test_an_unusable_python_is_named_with_the_remedy(version: str, modules: bool, said: str, root: Path, tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", version, modules=modules)
    found = find_python(root, tmp_path)
    assert found.returncode == 1 and found.stdout == ""
    assert said in found.stderr and "What to do" in found.stderr


def test_no_python_at_all_is_said_with_the_remedy(root: Path, tmp_path: Path) -> None:
    found = find_python(root, tmp_path)
    assert found.returncode == 1
    assert "needs 3.11 or newer" in found.stderr and "brew install" in found.stderr


def test_an_old_python_can_read_the_script_as_far_as_its_message(root: Path) -> None:
    ast.parse((root / "scripts" / "setup.py").read_text(encoding="utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize(("output", "said"), [
    ("ERROR: Could not install packages: [Errno 28] No space left on device", "The disk is full. Free some room"),
    ("NewConnectionError: [Errno -3] Temporary failure in name resolution", "needs the network once"),
    ("ERROR: No matching distribution found for torch==2.13.0 (from versions: none)", "needs the network once"),
    ("ERROR: No matching distribution found for torch==2.13.0 (from versions: 2.2.0)", "no build for this Python"),
    ("ssl.SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED", "PIP_CERT"),
    ("something that nobody has seen", "run the command again"),
])
def test_a_failure_of_pip_is_explained(output: str, said: str) -> None:
    assert said in set_up.advice(output)


def test_a_full_disk_stops_the_set_up_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 3_900_000_000))
    monkeypatch.setattr(set_up, "NEEDED_GB", 3)
    set_up.check_disk()
    monkeypatch.setattr(set_up, "NEEDED_GB", 4)
    with pytest.raises(SystemExit, match=r"3\.9 GB free, and the set-up needs about 4 GB"):
        set_up.check_disk()


def test_what_was_installed_is_known_by_both_files_the_python_and_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("first", encoding="utf-8")
    monkeypatch.setattr(set_up, "ROOT", tmp_path)
    prints = [set_up.fingerprint()]
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("second", encoding="utf-8")
        prints.append(set_up.fingerprint())
    monkeypatch.setattr(set_up.sys, "version_info", (3, 99))
    prints.append(set_up.fingerprint())
    monkeypatch.setattr(set_up, "ROOT", shutil.copytree(tmp_path, tmp_path / "elsewhere"))
    prints.append(set_up.fingerprint())
    assert len(set(prints)) == 5


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A set-up in a temporary folder, in which the long steps only write down that they were called."""
    done: list[str] = []
    monkeypatch.setattr(set_up, "VENV", tmp_path)
    monkeypatch.setattr(set_up, "PYTHON", tmp_path / "python")
    monkeypatch.setattr(set_up, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(set_up, "UNFINISHED", tmp_path / "unfinished")
    monkeypatch.setattr(set_up.os, "chdir", lambda path: None)
    monkeypatch.setattr(set_up, "LOG", tmp_path / "build" / "setup.log")
    for name in ("check_disk", "install", "install_legacy_client", "fetch_base_model"):
        monkeypatch.setattr(set_up, name, lambda *arguments, name=name: done.append(name))

    def make_venv() -> None:
        done.append("make_venv")
        (tmp_path / "python").touch()

    monkeypatch.setattr(set_up, "make_venv", make_venv)
    return done


def test_a_current_set_up_asks_pip_for_nothing(stage: list[str]) -> None:
    set_up.main()
    assert stage == ["check_disk", "make_venv", "install", "install_legacy_client", "fetch_base_model"]
    stage.clear()
    set_up.main()
    assert stage == ["install_legacy_client", "fetch_base_model"], "which look for themselves whether there is something to do"


def test_the_old_client_is_installed_once_and_anew_when_its_versions_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[str, ...]] = []

    def install(*what: str) -> None:
        calls.append(what)
        (tmp_path / "client").mkdir()  # fails where an older one was left

    monkeypatch.setattr(set_up, "install", install)
    monkeypatch.setattr(set_up, "LEGACY", tmp_path / "client")
    monkeypatch.setattr(set_up, "LEGACY_PINS", tmp_path / "pins.txt")
    for versions in ("openai==0.28.1", "openai==0.28.1", "openai==0.28.1\ntqdm==4.0"):
        (tmp_path / "pins.txt").write_text(versions, encoding="utf-8")
        set_up.install_legacy_client()
    assert calls == [("--no-deps", "--target", str(tmp_path / "client"), "--requirement", str(tmp_path / "pins.txt"))] * 2


def test_a_set_up_that_failed_is_done_again(stage: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise SystemExit("no network")

    with monkeypatch.context() as patch:
        patch.setattr(set_up, "install", fail)
        with pytest.raises(SystemExit):
            set_up.main()
    assert set_up.UNFINISHED.exists()
    set_up.main()
    assert stage[-3:] == ["install", "install_legacy_client", "fetch_base_model"] and not set_up.UNFINISHED.exists()


@pytest.mark.parametrize(("state", "made_anew"), [("complete", False), ("unfinished", True), ("without pip", True), ("missing", True)])
def test_only_a_whole_environment_is_kept(state: str, made_anew: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[list[str]] = []
    real_run = subprocess.run

    def run(command: list[str], **options: object) -> object:
        if "venv" in command:
            made.append(command)
            return subprocess.CompletedProcess(command, 0, "", "")
        return real_run(command, **options)

    python = tmp_path / "python"
    if state == "without pip":
        python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        python.chmod(0o755)
    elif state != "missing":
        python.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} \"$@\"\n", encoding="utf-8")
        python.chmod(0o755)
    if state == "unfinished":
        (tmp_path / "unfinished").touch()
    monkeypatch.setattr(set_up, "PYTHON", python)
    monkeypatch.setattr(set_up, "UNFINISHED", tmp_path / "unfinished")
    monkeypatch.setattr(set_up.subprocess, "run", run)
    set_up.make_venv()
    assert bool(made) == made_anew and all("--clear" in command for command in made)


@pytest.mark.parametrize(("line", "said"), [
    ("  Downloading https://index/torch-2.13.0-cp311-none-any.whl (190.2 MB)\n", "  downloading torch (190.2 MB)"),
    ("  Downloading idna-3.20-py3-none-any.whl (70 kB)\n", None),
    ("Installing collected packages: a, b, c\n", "  downloads complete, installing 3 packages (a minute or two)"),
])
def test_only_the_long_steps_of_pip_are_shown(line: str, said: str | None) -> None:
    assert set_up.shown(line) == said


def test_the_continuous_integration_script_is_executable_and_calls_the_verbs(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    called = [line.strip() for line in lines if line.strip().startswith("make ")]
    assert "set -euo pipefail" in lines and called == ["make test", "make check", "make test-browser"]
