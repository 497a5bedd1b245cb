"""Names of new things, in the forms that people know from the hosted API."""

import random
import re
import string
from datetime import UTC, datetime

ALPHABET = string.ascii_letters + string.digits
# A letter for each byte, from a generator of our own that the system seeds: names are no secrets (keys are not made in this
# way), and each of the system's own bytes costs a call. Some letters come a little more often than others.
LETTERS = bytes(ord(ALPHABET[byte % len(ALPHABET)]) for byte in range(256))
CHANCE = random.Random()


def new_id(prefix: str, length: int = 24) -> str:
    """`prefix` and `length` random letters and digits: `new_id("ftjob-")`."""
    return prefix + CHANCE.randbytes(length).translate(LETTERS).decode()


def model_name(base: str, organization: str, suffix: str | None) -> str:
    """`ft:{base}:{organization}:{suffix or nothing}:{8 characters}`."""
    return new_id(f"ft:{base}:{organization}:{suffix or ''}:", 8)


def old_model_name(base: str, organization: str, suffix: str | None, seconds: float) -> str:
    """The old API's `{base}:ft-{organization}:{suffix}-{time}`, in UTC. Runs of blanks and punctuation become one dash."""
    given = re.sub(r"[\W_]+", "-", (suffix or "").lower()).strip("-")
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d-%H-%M-%S")
    return f"{base}:ft-{organization}" + (f":{given}-{time}" if given else f"-{time}")
