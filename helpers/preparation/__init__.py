"""Prepare training data: read a table in any common form, find what would spoil a fine-tune, put it right, write JSONL.

    from helpers.preparation import inspect, overview, prepare, read, write
    table = read("tickets.csv")
    overview(inspect(table))              # a DataFrame: what is wrong, and where
    outcome = prepare(table)              # takes every suggestion; agree=... decides one by one
    write(table, outcome, "tickets_prepared.jsonl")

Knows nothing of the command line (`helpers/commands/`) and of the API.
"""

from helpers.preparation.columns import ColumnsUnclear
from helpers.preparation.convert import converted
from helpers.preparation.findings import Finding, Fix
from helpers.preparation.look import Options
from helpers.preparation.pipeline import Outcome, by_name, every_suggestion, inspect, prepare
from helpers.preparation.reading import read
from helpers.preparation.report import overview
from helpers.preparation.splitting import sources, split
from helpers.preparation.table import Chats, Pairs, Table
from helpers.preparation.writing import write

__all__ = ["Chats", "ColumnsUnclear", "Finding", "Fix", "Options", "Outcome", "Pairs", "Table", "by_name", "converted",
           "every_suggestion", "inspect", "overview", "prepare", "read", "sources", "split", "write"]
