"""Look at training rows by hand: keep, drop, edit or flag them, and write the file anew.

    from helpers import review
    sheet = review("tickets_prepared.jsonl", n=12, order="random", seed=7)
    sheet.drop(23, why="offensive")
    sheet.export("tickets_reviewed.jsonl")

Knows training rows and the screen. Knows nothing of checks and fixes (`helpers/preparation/`) nor of the API.
"""

from helpers.reviewing.sheet import Export, Sheet, review

__all__ = ["Export", "Sheet", "review"]
