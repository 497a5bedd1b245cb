"""What stands in the texts: characters that should not be there, and what nobody should train on unseen.

Knows strings, and what secrets and addresses look like. Knows nothing of prompts and completions. Long tables are searched in
chunks: a chunk without an @ has no e-mail address, whatever its rows say.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from helpers.preparation.characters import CONTROL, LINE_END, clean
from helpers.preparation.findings import Finding, Fix, plural
from helpers.preparation.fixes import edit, shown
from helpers.preparation.look import Look

CHUNK = 500  # rows
SPECIAL = re.compile(r"<\|(?:endoftext|endofprompt|im_start|im_end|im_sep|fim_\w+|eot_id|begin_of_text)\|>")
# UTF-8 read as a Western code page, and characters that were lost already.
DAMAGED = re.compile("\ufffd|Ã[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[™œ\u009d˜“”¢¦]|Â[\u00a0-\u00bf]")


# So many digits, with a little between them, have all phone, card and account numbers.
RUN = re.compile(r"\d(?:[ ().\-/]{0,3}\d){7,}")
RUN_DIGITS, RUN_LENGTH = 8, 28  # the fewest digits, and the most characters from the first of them to the last


@dataclass(frozen=True, slots=True)
class Detector:
    """A thing to look for. Every text that has it has one of `signs`, or, where there are none, a run of digits.

    `holds` tells true hits from chance ones.
    """

    name: str
    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = bool

    def hits(self, text: str) -> list[str]:
        return [match[0] for match in self.pattern.finditer(text) if self.holds(match[0])]


def _is_card(text: str) -> bool:
    """Luhn's check digit, which card numbers have and one in ten other numbers."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


def _is_phone(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    return 9 <= digits <= 15 and not re.fullmatch(r"[12]\d{3}[-/. ]\d\d?[-/. ]\d\d?.*|\d\d?[-/.]\d\d?[-/.]\d{4}.*", text)


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616: the remainder by 97 is 1."""
    plain = text.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _is_address(text: str) -> bool:
    return not re.search(r"@(?:[\w-]+\.)*example\.(?:com|org|net)$", text, re.IGNORECASE)  # reserved for examples


DETECTORS = (
    Detector("e-mail address", ("@",), re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), _is_address),
    Detector("card number", (), re.compile(r"(?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-])"), _is_card),
    Detector("IBAN", (), re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _is_iban),
    Detector("phone number", (),
             re.compile(r"(?<![\w+-])(?:\+\d{1,3}|\(?0\d{1,4}\)?|\(?\d{3}\)?)[ ./-](?:\(?\d+\)?[ ./-]){1,5}\d{2,}(?![\w-])"
                        r"|(?<!\w)\+\d{9,15}(?!\w)"), _is_phone),
    Detector("key", ("sk-", "AKIA", "ghp_", "github_pat_", "xox", "PRIVATE KEY", "eyJ", "AIza"),
             re.compile(r"\bsk-[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bghp_\w{30,}|\bgithub_pat_\w{30,}|\bxox[abprs]-[\w-]{10,}"
                        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}|\bAIza[\w-]{30,}")),
    Detector("password", ("assword", "ASSWORD", "pwd", "PWD", "secret", "api_key", "apikey", "API_KEY"),
             re.compile(r"(?i)\b(?:password|passwd|pwd|secret|api[_-]?key)\b\s*(?:is|[:=])\s*[\"']?(?=\S*[\d_!$%&#@])\S{6,}")),
)


def control_characters(look: Look) -> Finding | None:
    """Control and invisible characters, and the line ends of other systems."""
    if not look.has_controls:
        return None
    places = np.array([place for place in range(len(look.table))
                       if any(CONTROL.search(text) or LINE_END.search(text) for text in look.table.texts(place))], dtype=int)
    if not len(places):
        return None
    found = {character for place in places.tolist() for text in look.table.texts(place) for character in CONTROL.findall(text)}
    named = ", ".join(f"U+{ord(character):04X}" for character in sorted(found)[:6])
    return Finding("control-characters", "warning",
                   f"{plural(len(places), 'row has', 'rows have')} control or invisible characters ({named}).",
                   "They come from copying and from other systems' line ends; the model would learn to write them.",
                   look.table.lines[places],
                   fix=edit(look, places, clean, "Remove them, and write line ends as line feeds."))


def damaged_text(look: Look) -> Finding | None:
    """Texts that went through a wrong encoding before they came to us."""
    places, examples = _search(look, [Detector("", ("\ufffd", "Ã", "â€", "Â"), DAMAGED)])
    if not len(places):
        return None
    return Finding("damaged-text", "warning",
                   f"{plural(len(places), 'row looks', 'rows look')} as if read in a wrong encoding.",
                   "Accents and quotation marks became other characters, for ever. If this file was not damaged "
                   "before, name its encoding with --encoding.", look.table.lines[places], examples)


def special_tokens(look: Look) -> Finding | None:
    """Marks that models use for the ends of texts and turns, written out in a text."""
    places, examples = _search(look, [Detector("", ("<|",), SPECIAL)])
    if not len(places):
        return None
    removal = edit(look, places, lambda text: SPECIAL.sub("", text), "")

    def apply() -> None:
        before = look.answered
        removal.apply()
        look.forget()
        # A row that was nothing else has no answer now, and nobody looks for such rows any more.
        emptied = before & ~look.answered
        if emptied.any():
            look.table.keep(~emptied, "nothing is left of it without its special tokens")
            look.forget()

    return Finding("special-tokens", "warning", f"{plural(len(places), 'row has', 'rows have')} a special token written out.",
                   "A model may take it for the end of the text: the rest would not be learnt as you mean it.",
                   look.table.lines[places], examples,
                   Fix("Remove the special tokens.", apply, removal.preview, recommended=False))


def private_data(look: Look) -> Finding | None:
    """Likely personal data and secrets, for somebody to look at."""
    places, examples = _search(look, DETECTORS)
    if not len(places):
        return None
    return Finding("private-data", "warning",
                   f"{plural(len(places), 'row seems', 'rows seem')} to have personal data or secrets.",
                   "A model can repeat what it was trained on, to anybody. Look at these rows, and take out what is real.",
                   look.table.lines[places], examples)


def _search(look: Look, detectors: Sequence[Detector]) -> tuple[np.ndarray, list[str]]:
    """The rows in which one of the detectors finds something, and a few of the hits, half hidden."""
    found: dict[int, str] = {}
    for first, texts in _chunks(look):
        for detector, number in _worth_it(texts, detectors):
            if hits := detector.hits(texts[number]):
                found.setdefault(first + number, f"{detector.name} {_hidden(hits[0])}" if detector.name else hits[0])
    return np.array(sorted(found), dtype=int), list(dict.fromkeys(found[place] for place in sorted(found)))[:3]


def _worth_it(texts: list[str], detectors: Sequence[Detector]) -> Iterator[tuple[Detector, int]]:
    """The texts that have a sign of what a detector looks for: a fraction of all, found at a fraction of the cost."""
    joined = "\n".join(texts)
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    runs = _with_runs(texts, joined, starts) if not all(one.signs for one in detectors) else []
    for detector in detectors:
        found = [place for sign in detector.signs for place in _occurrences(sign, joined)]
        marked = np.unique(np.searchsorted(starts, found, side="right") - 1).tolist() if found else []
        yield from ((detector, number) for number in (marked if detector.signs else runs))


def _occurrences(sign: str, text: str) -> Iterator[int]:
    place = text.find(sign)
    while place >= 0:
        yield place
        place = text.find(sign, place + 1)


def _with_runs(texts: list[str], joined: str, starts: np.ndarray) -> list[int]:
    """The texts with a run of digits."""
    digits = np.flatnonzero(np.frombuffer(joined.encode("ascii", "replace"), dtype=np.uint8) - np.uint8(ord("0")) < 10)
    close = digits[: 1 - RUN_DIGITS][digits[RUN_DIGITS - 1 :] - digits[: 1 - RUN_DIGITS] <= RUN_LENGTH]
    likely = np.isin(np.arange(len(texts)), np.searchsorted(starts, close, side="right") - 1)
    if not joined.isascii():  # other scripts have digits of their own
        likely |= [not text.isascii() for text in texts]
    return [number for number in np.flatnonzero(likely).tolist() if RUN.search(texts[number])]


def _chunks(look: Look) -> Iterator[tuple[int, list[str]]]:
    """(number of the first row, texts of some rows)."""
    if look.pairs is not None:
        rows = map("\n".join, zip(look.table.questions(), look.table.answers(), strict=True))
    else:
        rows = (shown(look, place) for place in range(len(look.table)))
    first = 0
    while texts := list(islice(rows, CHUNK)):
        yield first, texts
        first += len(texts)


def _hidden(text: str) -> str:
    """Enough of a secret to find it, not enough to use it."""
    return f"{text[:3]}…{text[-2:]}" if len(text) < 24 else f"{text[:6]}…{text[-2:]}"
