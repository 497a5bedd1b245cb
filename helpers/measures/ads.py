"""What can be counted in an ad: whether it ends, how long it is, whether it names its product, what it invents.

Knows the ad, the article that it was written from, and the ad that a person wrote. Whether an ad is any good it
does not know: read some.

    table = score_ads(asked.texts, asked.stopped, names=..., articles=..., ads=..., words=(21, 44))
    share(table["invented"], table["claims"])
"""

import re
from collections.abc import Sequence

import pandas as pd

from helpers.measures.asking import chrf

NUMBER = re.compile(r"\d[\d.,:]*\d|\d")
WORD = re.compile(r"[^\W\d_][\w'’-]*")
# What may stand between the end of a sentence and its next word: quotes, brackets, space.
SENTENCE_START = re.compile(r"(?:^|[.!?:;…—–]|\n)[\s\"'“”‘’()«»*#=-]*$")
FIRST_PERSON = {"i", "i'm", "i'll", "i've", "i'd"}


def claims(text: str) -> list[str]:
    """The numbers in figures and the capitalised words inside sentences: what an article can be asked about.

    The first word of a sentence is left out, since its capital says nothing; numbers in words are not seen.
    """
    numbers = [match[0] for match in NUMBER.finditer(text)]
    names = [match[0] for match in WORD.finditer(text)
             if match[0][0].isupper() and _plain(match[0]) not in FIRST_PERSON
             and not SENTENCE_START.search(text[: match.start()])]
    return numbers + names


def invented(text: str, source: str) -> list[str]:
    """The claims of `text` that do not occur in `source`, whatever their capitals and thousands separators."""
    known = {_plain(match[0]) for pattern in (NUMBER, WORD) for match in pattern.finditer(source)}
    # "Rye" is known from "rye-bread", and "Friday" from "Fridays".
    known |= {part for word in known for part in (*word.split("-"), word.removesuffix("s"))}
    return [claim for claim in claims(text) if not {_plain(claim), *_plain(claim).split("-")} & known]


def score_ads(written: Sequence[str], stopped: Sequence[bool], *, names: Sequence[str], articles: Sequence[str],
              ads: Sequence[str], words: tuple[float, float]) -> pd.DataFrame:
    """A row for each ad written: stopped (and not empty), its length, whether that lies within `words`, whether it names
    the product, its claims, how many of them are invented, and chrF (0 to 100) against the person's ad."""
    lengths = [len(text.split()) for text in written]
    return pd.DataFrame({
        "stopped": [end and bool(text) for text, end in zip(written, stopped, strict=True)],
        "length": lengths,
        "length fits": [words[0] <= length <= words[1] for length in lengths],
        "named": [name.lower() in text.lower() for name, text in zip(names, written, strict=True)],
        "claims": [len(claims(text)) for text in written],
        "invented": [len(invented(text, article)) for text, article in zip(written, articles, strict=True)],
        "chrf": chrf(written, ads),
    })


def _plain(word: str) -> str:
    word = word.lower().replace("’", "'")
    if word[0].isdigit():
        return word.replace(",", "")
    return word if word in FIRST_PERSON else word.removesuffix("'s").removesuffix("'")
