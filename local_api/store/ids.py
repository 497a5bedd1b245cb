"""Names of new things, in the forms that people know from the hosted API."""

import secrets
import string

ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """`prefix` and `length` random letters and digits: `new_id("ftjob-")`."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def model_name(base: str, organization: str, suffix: str | None) -> str:
    """`ft:{base}:{organization}:{suffix or nothing}:{8 characters}`."""
    return new_id(f"ft:{base}:{organization}:{suffix or ''}:", 8)
