"""Files to review."""

import pytest

from .made import pair, write


@pytest.fixture
def path(tmp_path):
    """Where a test writes its own file."""
    return tmp_path / "rows.jsonl"


@pytest.fixture
def tickets(tmp_path):
    """Twenty rows, the first in line 1."""
    return write(tmp_path / "tickets.jsonl", [pair(number) for number in range(1, 21)])


@pytest.fixture
def log(tickets):
    """Where the decisions about them are kept."""
    return tickets.with_name("tickets.review.jsonl")
