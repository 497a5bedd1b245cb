"""What the documents say is so: the table of notebooks, the tree, the verbs, the links, the version."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import readme_table

TREE = re.compile(r"<!-- tree -->\s*```text\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")


def broken_links(document: Path) -> list[str]:
    """Links of a document to local files that are not there."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [target for target, _ in LINK.findall(text)
            if not re.match(r"[a-z]+:", target) and not (document.parent / target).exists()]


def tree_names(readme: str) -> set[str]:
    """The names at the top level of the README's tree: those that begin a line."""
    found = TREE.search(readme)
    assert found, "README.md has no file tree after <!-- tree -->"
    return {line.split()[0].rstrip("/") for line in found[1].splitlines() if line and not line[0].isspace()}


def verbs(makefile: str) -> set[str]:
    """Targets of the Makefile that a person calls: all that are declared phony, but help."""
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony, "the Makefile has no line .PHONY"
    return set(phony[1].split()) - {"help"}


def test_the_table_of_notebooks_is_the_one_of_the_index(root: Path, index: list[dict[str, Any]]) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert readme_table.with_table(readme, index) == readme, "run: .venv/bin/python scripts/readme_table.py"


def test_a_readme_without_its_markers_is_refused(index: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="put both back"):
        readme_table.with_table("# A readme\n", index)


def test_the_tree_names_what_lies_at_the_top_level(root: Path, files: list[Path]) -> None:
    there = {file.relative_to(root).parts[0] for file in files}
    assert tree_names((root / "README.md").read_text(encoding="utf-8")) == there


def test_a_tree_is_read_by_the_names_that_begin_its_lines() -> None:
    readme = "<!-- tree -->\n```text\ndata/      the data\n           and more\nMakefile   verbs\n```\n"
    assert tree_names(readme) == {"data", "Makefile"}


def test_help_lists_every_verb_and_says_what_it_does(root: Path) -> None:
    said = subprocess.run(["make", "--no-print-directory", "help"], cwd=root, capture_output=True, text=True, check=True)
    listed = dict(re.findall(r"^  make ([a-z-]+)\s+(.+)$", said.stdout, flags=re.MULTILINE))
    assert set(listed) == verbs((root / "Makefile").read_text(encoding="utf-8"))
    assert all(len(text) > 20 for text in listed.values())


def test_the_readme_and_the_workflows_call_no_verb_that_is_not_there(root: Path) -> None:
    known = verbs((root / "Makefile").read_text(encoding="utf-8")) | {"help"}
    callers = [root / "README.md", root / "CONTRIBUTING.md", root / ".ci" / "run", *sorted((root / ".github").rglob("*.yml"))]
    called = {(file.name, verb) for file in callers
              for verb in re.findall(r"(?:^\s*|`|run: )make ([a-z-]+)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)}
    assert {verb for _, verb in called} >= {"lab", "run", "test", "check"}
    assert [call for call in sorted(called) if call[1] not in known] == []


def test_links_to_local_files_lead_somewhere(root: Path, files: list[Path]) -> None:
    documents = [file for file in files if file.suffix == ".md"]
    assert len(documents) >= 3
    assert {str(file.relative_to(root)): links for file in documents if (links := broken_links(file))} == {}


def test_a_broken_link_is_found_and_one_to_the_web_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("[a](there.md) [b](gone.md#part) [c](https://example.org/x) [d](#here)", encoding="utf-8")
    (tmp_path / "there.md").touch()
    assert broken_links(document) == ["gone.md"]


def test_the_changelog_has_an_entry_for_this_version(root: Path) -> None:
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert version in headings
