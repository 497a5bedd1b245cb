"""From a file to a table of training rows, whatever its format; with what cannot be a row kept aside, never lost.

Knows formats through `tables.py` and `jsonl.py`, and which columns are meant through `columns.py`. Knows nothing of checks.

    table = read("tickets.csv")
    table = read("tickets.xlsx", sheet="March", prompt=["Message"], completion="Team")
"""

import codecs
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.encoding import decode, encoding_of
from helpers.errors import FormatError
from helpers.jsonl import json_rows
from helpers.preparation.columns import ColumnsUnclear, choose
from helpers.preparation.json_lines import HALF_A_PAIR, JsonLines, NotUtf8, from_conversations, refuse_half_pairs
from helpers.preparation.rules import kind_of
from helpers.preparation.table import Chats, Misfit, Pairs, Row, Source, Table
from helpers.sheets import sheet_names
from helpers.tables import read_table

ARCHIVE = b"pk\x03\x04"
OTHER_KINDS = {  # by how they begin, in small letters
    b"%pdf-": "a PDF document: copy its table into a spreadsheet",
    b"<!doctype html": "a web page: was it saved before you had signed in?",
    b"<html": "a web page: was it saved before you had signed in?",
    b"\x1f\x8b": "a compressed file: unpack it first",
    ARCHIVE: "an archive or an office document: unpack it, or save it as XLSX or CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet with a password, or one in the old format: save it as XLSX without a password"}
HEAD = 4096  # bytes by which we tell what a file is
FORMATS = {"completion": "prompt-completion", "chat": "chat", "preference": "preference"}
Progress = Callable[[int], None]  # is told how many bytes have been read


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller says about the file; all else is found out."""

    sheet: str | int | None = None
    encoding: str | None = None
    prompt: Sequence[str] = ()
    completion: str | None = None
    group: str | None = None


def read(path: Path | str, *, sheet: str | int | None = None, encoding: str | None = None, prompt: Sequence[str] = (),
         completion: str | None = None, group: str | None = None, progress: Progress = lambda done: None) -> Table:
    """The rows of a CSV, TSV, XLSX, JSON, JSONL or TXT file.

    Raises FormatError where the file cannot be read at all, ColumnsUnclear where it has columns and nobody said which
    are meant, and OSError.
    """
    path, wanted = Path(path), Wanted(sheet, encoding, tuple(prompt), completion, group)
    suffix = path.suffix.lower()
    _refuse_other_kinds(path, suffix)
    if suffix in (".jsonl", ".ndjson"):
        table = _jsonl(path, wanted, progress)
    elif suffix == ".json":
        table = _json(path, wanted)
    elif suffix == ".txt" and _looks_like_json(path):
        table = _jsonl(path, wanted, progress)
    else:
        table = _columns(path, wanted)
    if not table.rows_read:
        raise FormatError("there are no rows in it", path=path)
    if not len(table):
        first = table.misfits[0]
        raise FormatError(f"no line of it can be a training row: {first.why}", path=path, line=first.line)
    return table


def _columns(path: Path, wanted: Wanted) -> Table:
    suffix = path.suffix.lower()
    source, wide = Source(path, suffix[1:].upper()), []
    if suffix == ".xlsx":
        names = sheet_names(path)
        frame = read_table(path, sheet=wanted.sheet if wanted.sheet is not None else 0, lines=True, wide=wide)
        chosen = wanted.sheet if isinstance(wanted.sheet, str) else names[wanted.sheet or 0]
        source.sheet, source.unit, source.encoding = chosen, "row", ""
        source.other_sheets = [name for name in names if name != chosen]
    else:
        frame = read_table(path, encoding=wanted.encoding, lines=True, wide=wide)
        source.encoding = wanted.encoding or encoding_of(path.read_bytes(), path)
    source.notes += frame.attrs.get("notes", [])
    if suffix == ".txt":
        source.notes.append("Each line of the text is taken as a completion with an empty prompt.")
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    misfits = [Misfit(line, why) for line, why in wide]
    try:
        return _pairs(source, frame.index.tolist(), columns, wanted, quiet=suffix == ".txt", misfits=misfits)
    except ColumnsUnclear as unclear:
        raise ColumnsUnclear(unclear.names, path, missing=unclear.missing, other_sheets=source.other_sheets) from None


def _pairs(source: Source, lines: Sequence[int], columns: dict[str, list[Any]], wanted: Wanted, *, quiet: bool = False,
           misfits: Sequence[Misfit] = ()) -> Pairs:
    """Prompt-completion rows from columns: the chosen ones; of several prompt columns the texts, one below the other."""
    if not columns:
        raise FormatError("there are no rows in it", path=source.path)
    prompt, completion = choose(columns, wanted.prompt, wanted.completion, source.path)
    groups = None
    if wanted.group is not None:
        if wanted.group not in columns:
            raise FormatError(f"there is no column {wanted.group!r} to group by: the file has "
                              f"{', '.join(map(repr, columns))}", path=source.path, field=wanted.group)
        groups = columns[wanted.group]
    if not quiet:
        source.prompt_columns, source.completion_column = prompt, completion
    source.left_out = [name for name in columns if name not in (*prompt, completion)]
    if len(prompt) == 1:
        prompts = columns[prompt[0]]
    else:
        prompts = [_joined(cells) for cells in zip(*(columns[name] for name in prompt), strict=True)] if prompt else None
    return Pairs(source, lines, prompts if prompts is not None else [""] * len(lines), columns[completion], groups=groups,
                 misfits=misfits)


def _joined(cells: Iterable[Any]) -> str | None:
    texts = [str(cell).strip() for cell in cells if not _is_missing(cell)]
    return "\n\n".join(text for text in texts if text) if texts else None


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _json(path: Path, wanted: Wanted) -> Table:
    data = path.read_bytes()
    text = decode(data, path, wanted.encoding)
    source = Source(path, "JSON", wanted.encoding or encoding_of(data, path))
    numbers, rows = json_rows(text, path)
    # A list on one line, or rows inside other things: their order is all there is to go by.
    if not text.lstrip().startswith("[") or len(set(numbers)) < len(numbers):
        source.unit, numbers = "row", list(range(1, len(rows) + 1))
    numbered, misfits = [], []
    for number, row in zip(numbers, rows, strict=True):
        try:
            refuse_half_pairs(row)
            numbered.append((number, row))
        except UnicodeEncodeError:
            misfits.append(Misfit(number, HALF_A_PAIR))
    return _of_rows(source, numbered, misfits, wanted)


def _jsonl(path: Path, wanted: Wanted, progress: Progress) -> Table:
    source = Source(path, "JSONL", as_it_stands=True)
    try:
        rows = JsonLines().read(_raw_lines(path, wanted, progress))
    except NotUtf8:
        data = path.read_bytes()
        source.encoding = wanted.encoding or encoding_of(data, path)
        text = decode(data, path, wanted.encoding)
        rows = JsonLines().read(_decoded_lines(text))
        if "\n" not in text and "\r" in text:
            source.repairs.append("Its lines end with carriage returns, not with line feeds.")
        if source.encoding.lower() not in ("utf-8", "utf_8", "utf-8-sig"):
            source.repairs.append(f"It is written in {source.encoding}, not in UTF-8.")
    if not rows.good and (document := _document(path, wanted, source)):
        return document
    if rows.prompts and not rows.others:
        return Pairs(source, rows.lines, rows.prompts, rows.completions, misfits=rows.misfits)
    plain = [(line, {"prompt": prompt, "completion": completion})
             for line, prompt, completion in zip(rows.lines, rows.prompts, rows.completions, strict=True)]
    return _of_rows(source, sorted(plain + rows.others, key=lambda numbered: numbered[0]), rows.misfits, wanted)


def _document(path: Path, wanted: Wanted, source: Source) -> Table | None:
    """The table, if the file is one JSON document in truth."""
    try:
        table = _json(path, wanted)
    except FormatError:
        return None
    source.repairs.append("It is one JSON document, not one JSON object a line.")
    table.source.as_it_stands, table.source.repairs = True, source.repairs + table.source.repairs
    return table


def _raw_lines(path: Path, wanted: Wanted, progress: Progress) -> Iterator[bytes]:
    with path.open("rb") as file:
        head = file.read(HEAD)
        marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or head[:64].count(0) > len(head[:64]) // 4
        if wanted.encoding or marked or (b"\r" in head and b"\n" not in head):
            raise NotUtf8
        file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
        done = 0
        for number, line in enumerate(file):
            done += len(line)
            if not number % 10_000:
                progress(done)
            yield line


def _decoded_lines(text: str) -> Iterator[bytes]:
    text = text.replace("\r\n", "\n")
    return (line.encode() for line in text.split("\n" if "\n" in text else "\r"))


def _of_rows(source: Source, numbered: list[tuple[int, Row]], misfits: list[Misfit], wanted: Wanted) -> Table:
    """The table of rows that were read as dictionaries: of the kind that the most of them have."""
    if any("conversations" in row for _, row in numbered):
        source.repairs.append("The conversations are turned into messages with roles.")
        numbered = [(line, from_conversations(row)) for line, row in numbered]
    kinds = Counter(kind_of(row) for _, row in numbered)
    if not kinds:
        return Pairs(source, [], [], [], misfits=misfits)
    kind = kinds.most_common(1)[0][0]
    misfits = misfits + [Misfit(line, f"it is a {FORMATS[kind_of(row)]} row among {FORMATS[kind]} rows", str(row))
                         for line, row in numbered if kind_of(row) != kind]
    numbered = [(line, row) for line, row in numbered if kind_of(row) == kind]
    lines, rows = [line for line, _ in numbered], [row for _, row in numbered]
    if kind == "completion":
        names = dict.fromkeys(name for row in rows for name in row)
        table = _pairs(source, lines, {name: [row.get(name) for row in rows] for name in names}, wanted, misfits=misfits)
        with_more = [line for line, row in numbered if not row.keys().isdisjoint(source.left_out)]
        source.left_out_lines = with_more if len(with_more) < len(rows) else []
        return table
    groups = [str(row.get(wanted.group)) for row in rows] if wanted.group else None
    return Chats(source, lines, rows, kind=kind, groups=groups, misfits=misfits)


def _refuse_other_kinds(path: Path, suffix: str) -> None:
    """Raise FormatError for a file that is no table, whatever its name says."""
    with path.open("rb") as file:
        head = file.read(HEAD).lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower()
    for start, what in OTHER_KINDS.items():
        if head.startswith(start) and not (suffix == ".xlsx" and start == ARCHIVE):
            raise FormatError(f"this is {what}", path=path)


def _looks_like_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(HEAD).lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b'{"')
