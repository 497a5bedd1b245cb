"""Finds a Chromium or Chrome for the tests in `tests/browser`, and installs Debian's where that can be done.

CHROMIUM names one that is not found by itself. The standard library alone; knows nothing of the tests.

    .venv/bin/python scripts/find_chromium.py    # prints its path
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = (Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
         Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"))
WHAT_TO_DO = ("No Chromium or Chrome was found, and it cannot be installed from here. Install one (Debian: apt-get install "
              "chromium; macOS: brew install --cask chromium), or name it: make test-browser CHROMIUM=/path/to/chrome")


def find() -> str | None:
    """The path of the browser that CHROMIUM names, or of one that this system has."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None) or next((str(path) for path in MACOS if path.exists()), None)


def apt() -> list[str] | None:
    """The beginning of a command that may install packages, or None where nobody would be asked for a password in vain."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n", "apt-get"]
    return None


def install(command: list[str]) -> None:
    """Debian's package; on Ubuntu it is a snap in disguise, which may fail in a container."""
    print("Chromium is missing: installing Debian's package (about 100 MB, a minute or two) ...", file=sys.stderr, flush=True)
    for step in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "chromium"]):
        if subprocess.run([*command, *step], stdout=sys.stderr, check=False).returncode != 0:
            sys.exit(f"'{' '.join([*command, *step])}' failed: see above. {WHAT_TO_DO}")


def main() -> None:
    if os.environ.get("CHROMIUM") and find() is None:
        sys.exit(f"CHROMIUM is {os.environ['CHROMIUM']!r}, and no program is there: give the path of Chromium or Chrome.")
    if find() is None and (command := apt()):
        install(command)
    path = find()
    if path is None:
        sys.exit(WHAT_TO_DO)
    print(path)


if __name__ == "__main__":
    main()
