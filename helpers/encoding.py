"""From the bytes of a file to its text, whatever it was written in.

Knows encodings. Knows nothing of what the text says.

    text = decode(path.read_bytes(), path)
"""

import codecs
from pathlib import Path

from helpers.errors import FormatError

# Byte order marks, longest first: UTF-32's begins with UTF-16's.
MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# What text without a mark is written in, where it is no UTF-8. The guess is taken from these alone: on a few short
# lines an unrestricted guess finds exotic encodings that fit as well.
CODE_PAGES = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "euc_kr", "gb18030", "big5"]


def decode(data: bytes, path: Path, encoding: str | None = None) -> str:
    """The text in `data`, without a byte order mark. A given encoding is held to; else UTF-8 wins wherever it fits.

    Raises FormatError with the line of the first byte that does not fit.
    """
    name = encoding or encoding_of(data, path)
    try:
        # A mark belongs to the encoding, not to the first cell.
        return data.decode(name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FormatError(f"byte 0x{data[error.start]:02x} is not {name}: give the encoding that the file was saved "
                          "in, with encoding=...", path=path, line=line) from error
    except LookupError as error:
        raise FormatError(f"there is no encoding {name!r}: try 'utf-8', 'utf-16' or 'cp1252'", path=path) from error


def encoding_of(data: bytes, path: Path) -> str:
    """The encoding that `data` is most likely written in. A guess for all but UTF-8, UTF-16 and UTF-32."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    # UTF-16 without a mark: every other byte of plain Latin text is 0, and never two in a row.
    sample = data[:2000]
    if len(data) % 2 == 0 and sample.count(0) > len(sample) // 4:
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # only here: 50 ms that UTF-8 files need not pay

        matches = from_bytes(data, cp_isolation=CODE_PAGES)
        best = matches.best()
        # In a few words several code pages look alike: then the commonest of them is meant.
        alike = [match for match in matches if best and match.encoding == CODE_PAGES[0] and match.chaos <= best.chaos]
        best = alike[0] if alike else best
    if best is None:
        raise FormatError("this is not text in any encoding known here: is it another kind of file? If it is text, "
                          "give its encoding, with encoding=...", path=path)
    return best.encoding
