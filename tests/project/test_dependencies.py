"""pyproject.toml, constraints.txt and environment.yml agree: what is asked for is pinned, within its range."""

import re
import tomllib
from pathlib import Path
from typing import Any

import constraints
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pin_lines(root: Path) -> list[str]:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def environment(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def legacy_pin_lines(root: Path) -> list[str]:
    lines = (root / "constraints-legacy.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def direct_requirements(project: dict[str, Any]) -> list[Requirement]:
    extras = project["optional-dependencies"]
    return [Requirement(text) for text in [*project["dependencies"], *extras["local"], *extras["dev"]]]


def disagreements(requirements: list[Requirement], pin_lines: list[str]) -> list[str]:
    """Requirements without a pin, or with one outside their range."""
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in pin_lines)}
    found = []
    for requirement in requirements:
        version = pins.get(canonicalize_name(requirement.name))
        if version is None:
            found.append(f"{requirement.name} is not pinned")
        elif not requirement.specifier.contains(version):
            found.append(f"{requirement} excludes the pin {version}")
    return found


def test_every_direct_dependency_is_pinned_within_its_range(project: dict[str, Any], pin_lines: list[str]) -> None:
    assert disagreements(direct_requirements(project), pin_lines) == []


def test_a_missing_pin_and_a_pin_out_of_range_are_found() -> None:
    requirements = [Requirement("alpha>=2"), Requirement("Beta_Two>=1")]
    assert disagreements(requirements, ["alpha==1.5"]) == ["alpha>=2 excludes the pin 1.5", "Beta_Two is not pinned"]


def test_every_pin_is_a_name_and_a_version_that_any_index_can_serve(pin_lines: list[str], legacy_pin_lines: list[str]) -> None:
    assert "openai==0.28.1" in legacy_pin_lines
    for line in [*pin_lines, *legacy_pin_lines]:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!]+", line), f"{line!r} is not name==version"
        Version(line.partition("==")[2])


def test_no_package_is_pinned_twice(pin_lines: list[str]) -> None:
    names = [canonicalize_name(line.partition("==")[0]) for line in pin_lines]
    assert len(names) == len(set(names))


def test_conda_asks_for_a_python_that_the_project_takes(project: dict[str, Any], environment: dict[str, Any]) -> None:
    wanted = next(item for item in environment["dependencies"] if isinstance(item, str) and item.startswith("python"))
    conda, ours = SpecifierSet(wanted.removeprefix("python").strip()), SpecifierSet(project["requires-python"])
    assert [minor for minor in range(20) if f"3.{minor}" in conda] == [11, 12, 13]
    assert all(f"3.{minor}" in ours for minor in (11, 12, 13)) and "3.10" not in ours


def test_conda_leaves_packages_and_versions_to_pyproject_and_constraints(environment: dict[str, Any]) -> None:
    pip_lines = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert pip_lines == ["--constraint constraints.txt", "--editable .[local,dev]"]


def test_the_list_of_pins_is_rendered_without_local_versions_and_with_the_held_back_one() -> None:
    rendered = constraints.render("torch==2.13.0+cpu\nsoupsieve==9.9\npip==26.0\nzlib-ng @ file:///somewhere\n")
    assert [line for line in rendered.splitlines() if not line.startswith("#")] == ["soupsieve==2.10", "torch==2.13.0"]
