"""Prepare training data: read a table in any common form, find what would spoil a fine-tune, put it right, write JSONL.

    from helpers.preparation import inspect, prepare, read, write
    table = read("tickets.csv")
    for finding in inspect(table): print(finding.severity, finding.what)
    outcome = prepare(table)              # takes every suggestion; agree=... decides one by one
    write(table, outcome, "tickets_prepared.jsonl")

Knows nothing of the command line (`helpers/commands/`) and of the API.
"""

from helpers.preparation.columns import ColumnsUnclear
from helpers.preparation.findings import Finding, Fix
from helpers.preparation.look import Options
from helpers.preparation.pipeline import Outcome, by_name, every_suggestion, inspect, prepare
from helpers.preparation.reading import read
from helpers.preparation.table import Chats, Pairs, Table

__all__ = ["Chats", "ColumnsUnclear", "Finding", "Fix", "Options", "Outcome", "Pairs", "Table", "by_name", "every_suggestion",
           "inspect", "prepare", "read"]
