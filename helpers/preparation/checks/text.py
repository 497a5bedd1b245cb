"""What stands in the texts: characters that should not be there, and what nobody should train on unseen.

Knows strings, and what secrets and addresses look like. Knows nothing of prompts and completions. Long tables are searched in
chunks: a chunk without an @ has no e-mail address, whatever its rows say.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from helpers.preparation.characters import CONTROL, LINE_END, clean
from helpers.preparation.findings import Finding, plural
from helpers.preparation.fixes import edit, shown
from helpers.preparation.look import Look

CHUNK = 500  # rows
SPECIAL = re.compile(r"<\|(?:endoftext|endofprompt|im_start|im_end|im_sep|fim_\w+|eot_id|begin_of_text)\|>")
# UTF-8 read as a Western code page, and characters that were lost already.
DAMAGED = re.compile("\ufffd|Ã[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[™œ\u009d˜“”¢¦]|Â[\u00a0-\u00bf]")


@dataclass(frozen=True, slots=True)
class Detector:
    """A thing to look for. One of `signs` occurs in every text that has it; `holds` tells true hits from chance ones."""

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


DIGITS = tuple("0123456789")
DETECTORS = (
    Detector("e-mail address", ("@",), re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), _is_address),
    Detector("card number", DIGITS, re.compile(r"(?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-])"), _is_card),
    Detector("IBAN", DIGITS, re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _is_iban),
    Detector("phone number", ("+", "-", " ", "."),
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
    found = [character for counts in look.characters for character in counts if CONTROL.match(character)]
    places = np.array([place for place in range(len(look.table))
                       if any(CONTROL.search(text) or LINE_END.search(text) for text in look.table.texts(place))], dtype=int)
    if not len(places):
        return None
    named = ", ".join(f"U+{ord(character):04X}" for character in sorted(set(found))[:6])
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
    return Finding("special-tokens", "warning", f"{plural(len(places), 'row has', 'rows have')} a special token written out.",
                   "A model may take it for the end of the text: the rest would not be learnt as you mean it.",
                   look.table.lines[places], examples,
                   edit(look, places, lambda text: SPECIAL.sub("", text), "Remove the special tokens.", recommended=False))


def private_data(look: Look) -> Finding | None:
    """Likely personal data and secrets, for somebody to look at."""
    places, examples = _search(look, DETECTORS)
    if not len(places):
        return None
    return Finding("private-data", "warning",
                   f"{plural(len(places), 'row seems', 'rows seem')} to have personal data or secrets.",
                   "A model can repeat what it was trained on, to anybody. Look at these rows, and take out what is real.",
                   look.table.lines[places], examples)


def _search(look: Look, detectors: tuple[Detector, ...] | list[Detector]) -> tuple[np.ndarray, list[str]]:
    """The rows in which one of the detectors finds something, and a few of the hits, half hidden."""
    places, examples = [], []
    for first, texts in _chunks(look):
        joined = "\n".join(texts)
        awake = [detector for detector in detectors if any(sign in joined for sign in detector.signs)]
        awake = [detector for detector in awake if detector.pattern.search(joined)]
        for place, text in enumerate(texts if awake else (), first):
            hits = [(detector.name, hit) for detector in awake for hit in detector.hits(text)]
            if hits:
                places.append(place)
                examples += [f"{name} {_hidden(hit)}".strip() if name else hit for name, hit in hits[:1]]
    return np.array(places, dtype=int), list(dict.fromkeys(examples))[:3]


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
