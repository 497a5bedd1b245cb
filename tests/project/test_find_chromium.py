"""The script that finds a browser for the tests of the widgets: what it takes, and what it says where there is none."""

from pathlib import Path

import find_chromium
import pytest


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system whose programs are those of a folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(find_chromium, "MACOS", ())
    return tmp_path


def program(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_browser_that_is_there_is_taken_and_a_named_one_before_it(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chrome, other = program(system, "google-chrome"), program(system, "other")
    assert find_chromium.find() == str(chrome)
    monkeypatch.setenv("CHROMIUM", str(other))
    assert find_chromium.find() == str(other)


def test_a_named_browser_that_is_not_there_is_an_error_whatever_else_is(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(system, "chromium")
    monkeypatch.setenv("CHROMIUM", "/nowhere/chrome")
    with pytest.raises(SystemExit, match="no program is there"):
        find_chromium.main()


def test_where_nothing_can_be_installed_it_says_what_to_do(system: Path) -> None:
    with pytest.raises(SystemExit, match="apt-get install chromium; macOS"):
        find_chromium.main()


def test_debians_package_is_installed_by_root(system: Path, monkeypatch: pytest.MonkeyPatch,
                                              capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    here = system / "chromium"
    program(system, "apt-get", f"case \"$1\" in install) printf '#!/bin/sh\\n' > {here}; /bin/chmod +x {here};; esac")
    find_chromium.main()
    assert capfd.readouterr().out == f"{here}\n"


def test_without_root_sudo_is_used_only_where_it_asks_for_no_password(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    program(system, "apt-get")
    sudo = program(system, "sudo", "exit 1")
    assert find_chromium.apt() is None
    sudo.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    assert find_chromium.apt() == ["sudo", "-n", "apt-get"]


def test_an_installation_that_fails_names_its_command(system: Path) -> None:
    failing = str(program(system, "apt-get", "exit 7"))
    with pytest.raises(SystemExit, match="update -q' failed"):
        find_chromium.install([failing])
