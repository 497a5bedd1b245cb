"""Brings data/manifest.json up to date: rows, columns and SHA-256 of each data set; the rest is kept as written.

    python data/make/manifest.py
"""

import csv
import hashlib
import json
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent


def describe(path: Path) -> dict[str, object]:
    """Rows, columns and hash of a CSV or JSONL file, as they are on disk."""
    text = path.read_bytes()
    if path.suffix == ".csv":
        rows = list(csv.DictReader(text.decode("utf-8").splitlines(keepends=True)))
    else:
        rows = [json.loads(line) for line in text.decode("utf-8").splitlines()]
    return {"rows": len(rows), "columns": list(rows[0]), "sha256": hashlib.sha256(text).hexdigest()}


def main() -> None:
    path = DATA / "manifest.json"
    entries = [{**entry, **describe(DATA / entry["file"])} for entry in json.loads(path.read_text(encoding="utf-8"))]
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
