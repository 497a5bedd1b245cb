"""An n-gram model of orders 1 to 3 over token ids, made of counts alone.

Each order is smoothed with the one below it: p(token | context) = (count + PRIOR x p of the shorter context) / (total +
PRIOR), and the shortest with 1 / vocabulary size, which is add-k smoothing with k = PRIOR / vocabulary size. Counts may
be fractions, and may be taken back (preference training); below zero they stand for zero. Knows no prompts and no text.

    counts = NGramCounts(vocabulary_size=50)
    counts.add([7, 8, 9], 1.0)
    counts.smoothed(counts.rows(START, 7), token=8)
"""

from collections.abc import Sequence

START = -1  # stands before the first token
PRIOR = 1.0
Context = tuple[int, ...]


class Row:
    """What followed one context: raw counts, the sum of those above zero, and the commonest token."""

    __slots__ = ("best", "counts", "total")

    def __init__(self) -> None:
        self.counts: dict[int, float] = {}
        self.total = 0.0
        self.best: int | None = None

    def add(self, token: int, weight: float) -> None:
        old = self.counts.get(token, 0.0)
        new = self.counts[token] = old + weight
        self.total += weight if old >= 0 <= new else max(new, 0.0) - max(old, 0.0)
        if weight < 0 and token == self.best:
            self.best = max(self.counts, key=lambda other: (self.counts[other], -other))
        elif self.best is None or (new, -token) > (self.counts[self.best], -self.best):
            self.best = token


_NOTHING = Row()


class NGramCounts:
    """Sums of counts by context. With dyadic weights (see `trainer.count_weight`) they do not depend on the order."""

    def __init__(self, vocabulary_size: int) -> None:
        self._floor = 1.0 / vocabulary_size
        self._rows: dict[Context, Row] = {}

    def add(self, tokens: Sequence[int], weight: float) -> None:
        """Count each token after its contexts of 0, 1 and 2 tokens."""
        before = last = START
        rows = self._rows
        for token in tokens:
            for context in ((), (last,), (before, last)):
                row = rows.get(context)
                if row is None:
                    row = rows[context] = Row()
                row.add(token, weight)
            before, last = last, token

    def rows(self, before: int, last: int) -> tuple[Row, Row, Row]:
        """The rows of the contexts of 0, 1 and 2 tokens; an empty one where nothing was counted."""
        get = self._rows.get
        return get((), _NOTHING), get((last,), _NOTHING), get((before, last), _NOTHING)

    def smoothed(self, rows: tuple[Row, Row, Row], token: int) -> float:
        """p(token) in the context that `rows` belong to."""
        p = self._floor
        for row in rows:
            if row.total:
                count = row.counts.get(token, 0.0)
                p = ((count if count > 0.0 else 0.0) + PRIOR * p) / (row.total + PRIOR)
        return p
