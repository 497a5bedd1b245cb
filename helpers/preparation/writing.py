"""The prepared file: where it goes, and its lines.

Knows JSONL and file names. The input is never written to.

    paths = output_paths(Path("tickets.csv"), None, split=True)
    write(table, paths[0], train)
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import orjson

from helpers.errors import FormatError
from helpers.jsonl import jsonl_lines, write_whole
from helpers.preparation.table import Pairs, Table

CHUNK = 1000  # lines that are written together


def output_paths(source: Path, out: Path | None, *, split: bool) -> list[Path]:
    """NAME_prepared.jsonl beside the input, or its training and validation files. Raises FormatError for the input itself."""
    if out is not None and out.is_dir():
        out = out / f"{source.stem}_prepared.jsonl"
    base = out or source.with_name(f"{source.stem}_prepared.jsonl")
    suffix = base.suffix or ".jsonl"
    paths = [base.with_name(f"{base.stem}_{part}{suffix}") for part in ("train", "valid")] if split else [base]
    for path in paths:
        if path.resolve() == source.resolve() or (path.exists() and path.samefile(source)):
            raise FormatError("this is the input, which is never changed: give another name with --out", path=path)
    return paths


def write(table: Table, path: Path | str, places: np.ndarray | None = None) -> Path:
    """Write the rows, or those at `places`, as JSONL. The file appears whole or not at all."""
    return write_whole(_lines(table, range(len(table)) if places is None else places.tolist()), path)


def _lines(table: Table, places: Iterable[int]) -> Iterator[bytes]:
    if not isinstance(table, Pairs):
        yield from (line.encode() for line in jsonl_lines(map(table.row, places)))
        return
    dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    columns, plain, remaining = table.columns, all(map(table.is_text, table.fields)), iter(places)
    while some := list(islice(remaining, CHUNK)):
        prompts, completions = ([column[place] for place in some] for column in columns.values())
        pairs = zip(prompts, completions, strict=True)
        if plain:
            yield b"".join([dumps({"prompt": prompt, "completion": completion}, None, newline) for prompt, completion in pairs])
        else:  # whole numbers of any size
            rows = ({"prompt": prompt, "completion": completion} for prompt, completion in pairs)
            yield "".join([json.dumps(row, ensure_ascii=False) + "\n" for row in rows]).encode()
