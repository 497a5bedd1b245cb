"""The data sets that come with the cookbook, by name. Knows the folder `data/` and nothing of what the tables mean.

    messages = dataset("triage")
"""

from pathlib import Path

import pandas as pd

from helpers.errors import FormatError
from helpers.tables import read_table

DATA = Path(__file__).resolve().parent.parent / "data"


def dataset(name: str) -> pd.DataFrame:
    """The table called `name`, such as "triage", with a plain index. Raises FormatError naming those that exist."""
    files = {path.stem: path for path in sorted(DATA.glob("*")) if path.suffix in (".csv", ".jsonl")}
    if name not in files:
        raise FormatError(f"there is no data set {name!r}: the folder {DATA.name} has {', '.join(files) or 'none'}. "
                          "For a file of your own, use read_table.")
    return read_table(files[name]).reset_index(drop=True)
