"""The keys file of a shared server: a project for each key, and what each project may use.

    [limits]                          # for every project; each line may be left out
    requests_per_minute = 60

    [projects.ann]
    key_sha256 = "9f86d0..."
    requests_per_minute = 120         # for this project alone

Keys are 256 random bits, so a plain SHA-256 of one cannot be turned back: there is no list of likely keys to try, which is
what a salt and a slow hash protect chosen passwords from. Knows no HTTP.

    python -m local_api.keys add --keys keys.toml ann bob      # prints both keys, once
"""

import argparse
import dataclasses
import hashlib
import logging
import os
import re
import secrets
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local_api.limits import Limits

log = logging.getLogger(__name__)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
OWNER = "default"  # the project of whoever runs the server
LIMITS = tuple(field.name for field in dataclasses.fields(Limits))
HEADER = "# Keys of a shared server, made by `cookbook keys add`. Deleting a project's lines shuts it out at once.\n"


class KeysFileError(ValueError):
    """A keys file that cannot be used; the message names the file and what is wrong in it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entries:
    """What a keys file says."""

    projects: dict[bytes, str]  # hash of the key -> project
    limits: dict[str, Limits]  # project -> what it may use


def key_hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).hexdigest().encode()


def read(path: Path) -> Entries:
    """Raises KeysFileError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeysFileError(f"{path} cannot be read ({error.strerror}): make it with `cookbook keys add NAME`") from None
    except ValueError as error:
        raise KeysFileError(f"{path} is no TOML file: {error}") from None
    for name in data:
        if name not in ("limits", "projects") or not isinstance(data[name], dict):
            raise KeysFileError(f"{path}: {name} is not known here; a keys file has [limits] and [projects.NAME]")
    common = data.get("limits", {})
    check_limits(common, f"{path}: [limits]")
    projects, limits = {}, {}
    for name, entry in data.get("projects", {}).items():
        place = f"{path}: [projects.{name}]"
        check_name(name, place)
        if not isinstance(entry, dict) or not SHA256.fullmatch(str(entry.get("key_sha256"))):
            raise KeysFileError(f"{place} needs key_sha256, 64 hexadecimal digits: `cookbook keys add` writes it")
        own = {key: value for key, value in entry.items() if key != "key_sha256"}
        check_limits(own, place)
        projects[entry["key_sha256"].encode()] = name
        limits[name] = Limits(**{**common, **own})
    return Entries(projects, limits)


def check_name(name: str, place: str) -> None:
    if not NAME.fullmatch(name) or name == OWNER:
        raise KeysFileError(f"{place}: a project's name has 1 to 64 letters, digits, - or _, and is not {OWNER!r}, which is the "
                            "server's owner")


def check_limits(given: dict[str, Any], place: str) -> None:
    for name, value in given.items():
        if name not in LIMITS:
            raise KeysFileError(f"{place}: {name} is not known; the limits are {', '.join(LIMITS)}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise KeysFileError(f"{place}: {name} must be a whole number of at least 1, not {value!r}")


class KeysFile:
    """A keys file that is read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        """Raises KeysFileError."""
        self.path = path
        self._stamp = self.stamp()
        self._entries = read(path)

    def stamp(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def entries(self) -> Entries:
        """As they are now. A file that has become unusable, half saved say, changes nothing; the log tells."""
        stamp = self.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._entries = read(self.path)
            except KeysFileError as error:
                log.error("%s; the keys that were read before stay", error)
        return self._entries


def add(path: Path, name: str) -> str:
    """Add a project, and return its key, which is written nowhere. Raises KeysFileError."""
    check_name(name, "cookbook keys add")
    text = HEADER
    if path.exists():
        if name in read(path).limits:
            raise KeysFileError(f"{path} has a key for {name}: remove it first (`cookbook keys remove {name}`), or choose "
                                "another name")
        text = path.read_text(encoding="utf-8").rstrip("\n") + "\n"
    key = "sk-local-" + secrets.token_urlsafe(32)
    write(path, f'{text}\n[projects.{name}]\nkey_sha256 = "{key_hash(key).decode()}"\n')
    return key


def remove(path: Path, name: str) -> None:
    """Take a project out; its files, jobs and models stay, for a key of the same name. Raises KeysFileError."""
    if name not in read(path).limits:
        raise KeysFileError(f"{path} has no key for {name}")
    kept, inside = [], False
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.lstrip().startswith("["):
            inside = re.match(rf"\s*\[\s*projects\s*\.\s*[\"']?{re.escape(name)}[\"']?\s*\]", line) is not None
        if not inside:
            kept.append(line)
    write(path, "".join(kept))
    if name in read(path).limits:
        raise KeysFileError(f"{path} writes {name} in a way that is not understood here: take it out by hand")


def write(path: Path, text: str) -> None:
    """Replace the file whole, readable by its owner alone: a server may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="cookbook keys", description="Keys of a shared server.")
    parser.add_argument("action", choices=["add", "remove", "list"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a project: letters, digits, - and _")
    parser.add_argument("--keys", type=Path, default=Path("keys.toml"), help="the keys file (default: %(default)s)")
    options = parser.parse_intermixed_args(arguments)
    if (options.action == "list") != (not options.names):
        parser.error("add and remove take names, list takes none")
    try:
        for name in options.names:
            if options.action == "add":
                print(f"{name}  {add(options.keys, name)}")
            else:
                remove(options.keys, name)
                print(f"{name} is shut out")
        if options.action == "list":
            print("\n".join(read(options.keys).limits) or "no projects")
    except (KeysFileError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    if options.action == "add":
        print(f"These keys are shown this once; {options.keys} keeps their hashes alone.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
