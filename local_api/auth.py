"""Who asks: bearer keys, compared in constant time. One key, one project; what belongs to others does not exist for you."""

import hmac
import os
import secrets
from pathlib import Path

from local_api.errors import Unauthorized

PROJECT = "default"


class Keys:
    """The keys that are let in. Only their hashes are kept in memory."""

    def __init__(self, projects: dict[str, str]) -> None:
        """`projects`: key -> project."""
        self._salt = secrets.token_bytes(32)
        self._projects = {self._hash(key): project for key, project in projects.items()}

    def project(self, authorization: str | None) -> str:
        """The project of an Authorization header. Raises Unauthorized."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthorized("You didn't provide an API key. Send it in the header `Authorization: Bearer YOUR_KEY`.")
        given = self._hash(key.strip())
        found = [project for known, project in self._projects.items() if hmac.compare_digest(known, given)]
        if not found:
            raise Unauthorized("Incorrect API key provided. The key of this server is in the file api_key of its data directory, "
                               "or in LOCAL_API_KEY where that was set.")
        return found[0]

    def _hash(self, key: str) -> bytes:
        return hmac.digest(self._salt, key.encode(), "sha256")


def key_in(data_dir: Path) -> str:
    """The key kept in a data directory, made at first use, readable by its owner alone."""
    path = data_dir / "api_key"
    if path.exists() and (kept := path.read_text(encoding="utf-8").strip()):
        return kept
    key = "sk-local-" + secrets.token_urlsafe(24)
    # An empty file is what a full disk left: nobody could get in with that.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
    return key
