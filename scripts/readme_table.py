"""Writes the table of notebooks in README.md, from notebooks/index.yaml, between two markers.

    .venv/bin/python scripts/readme_table.py
"""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- notebooks: begin (written by `make notebooks` from notebooks/index.yaml) -->", "<!-- notebooks: end -->"


def table(index: list[dict[str, str | int]]) -> str:
    rows = ["| | Notebook | What it teaches | Minutes |", "|---|---|---|---|"]
    rows += [f"| {entry['number']} | [{entry['title']}](notebooks/{entry['file']}) | {entry['lesson']} | {entry['minutes']} |"
             for entry in index]
    return "\n".join(rows)


def with_table(readme: str, index: list[dict[str, str | int]]) -> str:
    """The README with its table written anew. ValueError where a marker is missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has lost one of the lines {BEGIN!r} and {END!r}: put both back")
    return f"{before}{BEGIN}\n{table(index)}\n{END}{after}"


def main() -> None:
    readme = ROOT / "README.md"
    index = yaml.safe_load((ROOT / "notebooks" / "index.yaml").read_text(encoding="utf-8"))
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), index), encoding="utf-8")


if __name__ == "__main__":
    main()
