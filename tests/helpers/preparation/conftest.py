"""Files to prepare."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.preparation import Table, read

from .made import jsonl


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[..., Path]:
    """Write a file: text, bytes, or rows as JSONL."""
    def write(content: str | bytes | list[Any], name: str = "a.jsonl") -> Path:
        path = tmp_path / name
        content = jsonl(content) if isinstance(content, list) else content
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
    return write


@pytest.fixture
def read_of(file_of: Callable[..., Path]) -> Callable[..., Table]:
    return lambda content, name="a.jsonl", **options: read(file_of(content, name), **options)
