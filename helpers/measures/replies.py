"""What can be counted in an agent's reply: whether it ends, who speaks, and which facts of the order it gives.

Knows the reply, the order's facts, what was said before, and what a person replied. Whether a reply is kind or wise it
does not know.

    table = score_replies(asked.texts, asked.stopped, references=..., facts=..., said=...)
    share(table["copied"], table["asked for"])
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from helpers.measures.asking import chrf

AS_CUSTOMER = re.compile(r"\bcustomer\s*:", re.IGNORECASE)
EDGES = ".,;:!?()[]\"'“”‘’…#£$€-"  # around a detail, none of its own


def details(text: str) -> list[str]:
    """The words with a digit in them: amounts, dates, times, sizes, codes. Without currency signs and punctuation."""
    return [word.strip(EDGES) for word in re.split(r"[\s–—]+", text.lower()) if any(sign.isdigit() for sign in word)]


def fact_items(facts: Mapping[str, str]) -> list[str]:
    """What there is to copy in an order's facts: the details of each value; the whole value, if it has none."""
    items = [item for value in facts.values() for item in (details(value) or [value.lower()])]
    return list(dict.fromkeys(items))


def score_replies(replies: Sequence[str], stopped: Sequence[bool], *, references: Sequence[str],
                  facts: Sequence[Mapping[str, str]], said: Sequence[str]) -> pd.DataFrame:
    """A row for each reply.

    stopped: ended by itself, and not before it began; as customer: the reply goes on as the customer; asked for: items of
    the facts that the person's reply gives and that nobody had said before; copied: how many of those the reply gives;
    details: of the reply, with a digit; strays: how many of those stand neither in the facts nor in what was said; chrf
    (0 to 100) against the person's reply.
    """
    rows = []
    for reply, reference, known, before in zip(replies, references, facts, said, strict=True):
        wanted = [item for item in fact_items(known) if _has(reference, item) and not _has(before, item)]
        given = details(reply)
        sources = {*details(" ".join(known.values())), *details(before)}
        rows.append({"as customer": bool(AS_CUSTOMER.search(reply)), "asked for": len(wanted),
                     "copied": sum(_has(reply, item) for item in wanted), "details": len(given),
                     "strays": sum(detail not in sources for detail in given)})
    table = pd.DataFrame(rows, columns=["as customer", "asked for", "copied", "details", "strays"])
    table.insert(0, "stopped", [end and bool(reply) for reply, end in zip(replies, stopped, strict=True)])
    return table.assign(chrf=chrf(replies, references))


def _has(text: str, item: str) -> bool:
    if details(item):
        return item in details(text)
    return any(_whole(item, line) for line in _lines(text))


def _whole(item: str, line: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(item)}(?!\w)", line) is not None


def _lines(text: str) -> Iterable[str]:
    return text.lower().splitlines()
