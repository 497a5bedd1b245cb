"""Rules of the house that no linter knows: short files, no places of one machine, data that is what its manifest says."""

import csv
import hashlib
import json
import re
from pathlib import Path

MAX_LINES = 300
TEXT = {".py", ".sh", ".md", ".toml", ".yml", ".yaml", ".txt", ".ipynb", ".json", ""}
# Folders in which people and continuous integration keep their own things.
PLACE = re.compile(r"(?<![\w.~*])/(?:home|root|Users|work|farm|opt|workspace)/[\w.-]+")


def places(path: Path) -> list[str]:
    """Absolute paths of one machine in a text file, with their line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [f"{path.name}:{number} {found}" for number, line in enumerate(lines, start=1) for found in PLACE.findall(line)]


def manifest_faults(folder: Path) -> list[str]:
    """Where data/manifest.json and the files beside it differ."""
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    named = {entry["file"] for entry in entries}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*")
             if path.suffix in {".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".txt"} and path.name != "manifest.json"
             and path.relative_to(folder).parts[0] != "make"}
    faults = [f"{name} is not in the manifest" for name in sorted(there - named)]
    for entry in entries:
        path = folder / entry["file"]
        if not path.exists():
            faults.append(f"{entry['file']} is not there")
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            faults.append(f"{entry['file']} has another sha256")
        faults += [f"{entry['file']} has no {key}" for key in ("licence", "maker") if not entry.get(key)]
        if path.suffix == ".csv":
            with path.open(encoding=entry.get("encoding", "utf-8"), newline="") as file:
                header, *rows = (row for row in csv.reader(file, delimiter=entry.get("delimiter", ",")) if any(row))
            if header != entry["columns"] or len(rows) != entry["rows"]:
                faults.append(f"{entry['file']} has {len(rows)} rows and the columns {header}")
    return faults


def test_no_python_file_is_longer_than_a_person_reads_at_once(root: Path, files: list[Path]) -> None:
    lengths = {str(file.relative_to(root)): len(file.read_text(encoding="utf-8").splitlines())
               for file in files if file.suffix == ".py"}
    assert len(lengths) > 10
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_file_names_a_place_of_one_machine(files: list[Path]) -> None:
    assert [place for file in files if file.suffix in TEXT for place in places(file)] == []


def test_a_place_of_one_machine_is_found_and_an_address_on_the_web_is_not(tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    folder = "/".join(["", "home", "ada"])  # put together, or this very file would be found
    note.write_text(f"fine\nsee {folder}/model\nhttps://example.org/home/ada and ./work/x\n", encoding="utf-8")
    assert places(note) == [f"note.md:2 {folder}"]


def test_the_data_are_what_their_manifest_says(root: Path) -> None:
    assert manifest_faults(root / "data") == []


def test_changed_missing_and_unnamed_data_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    (tmp_path / "extra.csv").touch()
    entry = {"file": "a.csv", "rows": 2, "columns": ["x", "y"], "licence": "CC-BY-4.0", "maker": "us", "sha256": "0"}
    (tmp_path / "manifest.json").write_text(json.dumps([entry, entry | {"file": "gone.csv"}]), encoding="utf-8")
    assert manifest_faults(tmp_path) == [
        "extra.csv is not in the manifest", "a.csv has another sha256", "a.csv has 1 rows and the columns ['x', 'y']",
        "gone.csv is not there"]
