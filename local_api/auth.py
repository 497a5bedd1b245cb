"""Who asks: bearer keys, compared in constant time. One key, one project; what belongs to others does not exist for you.

    keys = Keys({own_key: PROJECT}, file=KeysFile(path))
    keys.project("Bearer sk-...")       # Unauthorized for a key that is not known
"""

import hmac
import os
import secrets
from pathlib import Path

from local_api.errors import Unauthorized
from local_api.keys import OWNER, KeysFile, key_hash
from local_api.limits import UNLIMITED, Limits

PROJECT = OWNER


class Keys:
    """The keys that are let in. Only their hashes are kept."""

    def __init__(self, projects: dict[str, str], file: KeysFile | None = None) -> None:
        """`projects`: key -> project, without limits. `file`: more of them, with theirs."""
        self._projects = {key_hash(key): project for key, project in projects.items()}
        self._file = file

    def project(self, authorization: str | None) -> str:
        """The project of an Authorization header. Raises Unauthorized."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthorized("You didn't provide an API key. Send it in the header `Authorization: Bearer YOUR_KEY`.")
        given = key_hash(key.strip())
        known = {**self._file.entries().projects, **self._projects} if self._file else self._projects
        found = [project for hashed, project in known.items() if hmac.compare_digest(hashed, given)]
        if not found:
            raise Unauthorized("Incorrect API key provided. On a shared server, ask whoever runs it for yours. The key of a "
                               "server of your own is in the file api_key of its data directory, or in LOCAL_API_KEY where that "
                               "was set.")
        return found[0]

    def limits(self, project: str) -> Limits:
        """What a project may use."""
        return self._file.entries().limits.get(project, UNLIMITED) if self._file else UNLIMITED


def key_in(data_dir: Path) -> str:
    """The key kept in a data directory, made at first use, readable by its owner alone."""
    path = data_dir / "api_key"
    if path.exists() and (kept := path.read_text(encoding="utf-8").strip()):
        return kept
    key = "sk-local-" + secrets.token_urlsafe(32)
    # An empty file is what a full disk left: nobody could get in with that.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
    return key
