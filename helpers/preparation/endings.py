"""How the prompts and completions of a table end, begin and are written: what is there, and what should be.

Knows strings. Knows nothing of findings. Markers are looked for in a sample first, as a million rows take a while.

    style = style_of(table)                # the separator and the stop sequence in use
    style.question("Where is it? ->")      # "Where is it?": the text alone
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from helpers.errors import FormatError
from helpers.preparation.characters import clean
from helpers.preparation.table import Pairs, Table, as_text

# The usual ones first; then rules of growing length, for texts in which the usual ones occur.
RULES = tuple(f"\n\n{'=' * length}\n\n" for length in range(3, 30))
SEPARATORS = ("\n\n###\n\n", " ->", *RULES)
STOPS = ("\n", " END", "###", *RULES)
# Endings that people write by hand, besides the ones above. Longer ones first: the longest that fits is meant.
OTHER_SEPARATORS = ("\n\n###\n", "\n###\n", "\n\n###", "\n###", " ###", "###", "\n->", "->", " =>", "=>",
                    "\n---\n", "\n\n---\n\n", "\n===\n")
OTHER_STOPS = ("\n\n###", " ###", "\nEND", " STOP", "[END]", " [END]", "</s>", "<|endoftext|>", "\n\n")
KNOWN_SEPARATORS, KNOWN_STOPS = (*SEPARATORS, *OTHER_SEPARATORS), (*STOPS, *OTHER_STOPS)
LONG_BEGINNING = (12, 6)  # characters that all prompts, or all completions, may share by chance
INSTRUCTS = (":",)  # with which an instruction ends, if all that should follow it is missing
SAMPLE = 1000
CHUNK = 1000  # texts that are searched together
ADOPTED = 0.2  # an ending on this share of the rows was meant; below it, it is a text that happens to end so
# What may be a marker of somebody's own: arrows and rules, a word with a colon on a line of its own, line breaks.
MARKER = re.compile(r"(?:\s*[#=\->*|~→»:]{2,}\s*|\n+[\w ]{0,20}:\s*|\n+)$")


@dataclass(frozen=True, slots=True)
class Style:
    """The separator, the stop sequence and the long beginnings in use: "" where there is none."""

    separator: str = ""
    stop: str = ""
    prompt_beginning: str = ""
    completion_beginning: str = ""

    def prompt_body(self, prompt: str) -> str:
        """The text of a prompt, without its beginning and its separator or what stands in its place."""
        body = _body(prompt, self.separator, KNOWN_SEPARATORS)
        # An instruction and nothing to apply it to is an empty prompt.
        return "" if body == self.prompt_beginning.rstrip() else body.removeprefix(self.prompt_beginning).lstrip()

    def completion_body(self, completion: str) -> str:
        return _body(completion, self.stop, KNOWN_STOPS).removeprefix(self.completion_beginning).lstrip()

    def bodies(self, texts: Iterable[str], field: str) -> Iterator[str]:
        """The same for all texts of a field, several times as fast where they are as they should be."""
        marker, beginning, body = ((self.separator, self.prompt_beginning, self.prompt_body) if field == "prompt" else
                                   (self.stop, self.completion_beginning, self.completion_body))
        if beginning:
            return map(body, texts)
        if not marker:
            return map(str.strip, texts)
        cut, twice = -len(marker), 2 * marker
        return (text[:cut].strip() if text.endswith(marker) and not text.endswith(twice) else body(text) for text in texts)


def style_of(table: Table, meant: Collection[str] = ()) -> Style:
    """The markers that most of the rows end with, and the beginnings that all share, but for those that are `meant`."""
    if not isinstance(table, Pairs):
        return Style()
    whole = [place for place in range(0, len(table), max(1, len(table) // SAMPLE))
             if table.prompts[place] is not None and as_text(table.completions[place]).strip()]
    prompts, completions = ([clean(as_text(column[place])) for place in whole] for column in table.columns.values())
    separator = marker_of(prompts, KNOWN_SEPARATORS, classes=False) or common_marker(prompts, table.prompts)
    stop = marker_of(completions, KNOWN_STOPS)
    markers = Style(separator, stop)
    beginnings = [common_beginning(table, field, markers, at_least) if f"{field}-beginning" not in meant else ""
                  for field, at_least in zip(table.fields, LONG_BEGINNING, strict=True)]
    return Style(separator, stop, *beginnings)


def marker_of(texts: Sequence[str], known: Collection[str], *, classes: bool = True) -> str:
    """The known marker that the most of the texts end with, if that is a fair share of them. `classes`: they may be names."""
    by_length = sorted(set(known), key=len, reverse=True)
    found: dict[str, int] = {}
    bare: dict[str, int] = {}
    for text in texts:
        marker = next((marker for marker in by_length if text.endswith(marker)), "")
        counts = found if text[: len(text) - len(marker)].strip() else bare
        counts[marker] = counts.get(marker, 0) + 1
    # A text that is nothing but a marker is an empty one, or a class of that name: alone it is no sign of a marker.
    shares = {marker: found.get(marker, 0) + bare.get(marker, 0) for marker in (found if classes else found | bare) if marker}
    best = max(shares, key=lambda marker: (shares[marker], len(marker), marker), default="")
    return best if best and shares[best] >= ADOPTED * len(texts) else ""


def common_marker(sample: Sequence[str], values: Sequence[object]) -> str:
    """What all texts end with, where it looks like a marker and not like the end of a sentence."""
    sample = [text for text in sample if text.strip()]
    if not sample:
        return ""
    found = MARKER.search(_shared(text[::-1] for text in sample)[::-1])
    marker = found[0] if found else ""
    return marker if marker and all(clean(as_text(value)).endswith(marker) for value in values if as_text(value).strip()) else ""


def _body(text: str, marker: str, known: tuple[str, ...]) -> str:
    if not marker:
        return text.strip()
    if text.endswith(marker):
        text = text[: -len(marker)]
        # A marker that was added twice is no text, unless there is nothing else.
        while text.endswith(marker) and text[: -len(marker)].strip():
            text = text[: -len(marker)]
        return text.strip()
    other = max((other for other in known if text.endswith(other)), key=len, default="")
    return text[: len(text) - len(other)].strip()


def is_misplaced(text: str, marker: str) -> bool:
    """Whether a marker stands in the text before its end, or begins too early: cutting there would cut the text."""
    found = text.find(marker)
    return 0 <= found < len(text) - len(marker)


def free_marker(bodies: Callable[[], Iterator[str]], candidates: Iterable[str], lead: str = "") -> str:
    """The first of the markers that occurs in none of the texts, nor where a text and the marker meet.

    `bodies` begins to give them anew, each time; `lead` will stand before each.
    """
    for marker in candidates:
        # A text that ends with the first part of a marker whose end is like its beginning: it would be found too early.
        early = [f"{marker[:cut]}\0" for cut in range(1, len(marker)) if marker[cut:] == marker[:-cut]]
        if not any(sign in joined for joined in _joined(bodies(), lead) for sign in (marker, *early)):
            return marker
    raise FormatError(f"every marker that is known here occurs in the texts, from {SEPARATORS[0]!r} to {RULES[-1]!r}: "
                      "take the markers out of the texts first")


def _joined(texts: Iterator[str], lead: str) -> Iterator[str]:
    """The texts in large pieces, each with `lead` before it and a NUL after it, which no clean text has."""
    while some := list(islice(texts, CHUNK)):
        yield lead + f"\0{lead}".join(some) + "\0"


def common_beginning(table: Pairs, field: str, markers: Style, at_least: int) -> str:
    """What all texts of a field begin with, up to the end of a word, if that has `at_least` characters and is not all of one.

    Rows without an answer have no say: they will be dropped.
    """
    def texts(step: int) -> Iterator[str]:
        for prompt, completion in zip(table.prompts[::step], table.completions[::step], strict=True):
            answer = markers.completion_body(clean(as_text(completion))) if prompt is not None else ""
            text = answer if field == "completion" or not answer else markers.prompt_body(clean(as_text(prompt)))
            if text:
                yield text

    sample = list(texts(max(1, len(table) // SAMPLE)))
    if len(set(sample)) < 2 or len(_to_word_end(_shared(sample))) < at_least:
        return ""
    everything = list(texts(1))
    whole = _shared(everything)
    if field == "prompt" and whole.endswith(INSTRUCTS):
        everything = [text for text in everything if text != whole]
    shared = _to_word_end(_shared(everything)) if len(set(everything)) > 1 else ""
    return shared if len(shared) >= at_least and len(min(everything, key=len)) > len(shared) else ""


def _shared(texts: Iterable[str]) -> str:
    """What all texts begin with: the first and the last in order of the alphabet differ the most."""
    texts = list(texts)
    first, last = min(texts), max(texts)
    differ = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:differ]


def _to_word_end(text: str) -> str:
    return text[: max(text.rfind(" "), text.rfind("\n")) + 1]
