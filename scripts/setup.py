"""Makes `.venv`, with the packages of pyproject.toml in the versions of constraints.txt, and fetches the base model.

The client of the old API's time goes into a folder of its own. This knows nothing of notebooks or of the local API, but for the
command that fetches the base model. The standard library alone.
Nothing is done twice: a stamp in `.venv` holds the hash of what was installed. Interrupted, it goes on when run again.

    python3 scripts/setup.py
"""

import sys

# This file may be run by any Python 3, so its syntax is that of Python 3.7: an older one must get as far as this message.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Python 3.11 or newer is needed, and this is {}.{}. ".format(*sys.version_info[:2])
             + "Install one, or name it: make setup PYTHON=/path/to/python3.13")

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed-from"
UNFINISHED = VENV / "unfinished"  # there while pip writes: what a killed pip leaves half written is not to be trusted
LEGACY = VENV / "legacy-client"  # the openai client of 2023, which cannot live beside today's: for the tests of the old API
LEGACY_PINS = ROOT / "constraints-legacy.txt"
LOG = ROOT / "build" / "setup.log"

NEEDED_GB = 4

# What pip says, and what a person should do: the first pattern found in its output counts.
ADVICE = (
    (r"No space left on device|Disk quota exceeded",
     "The disk is full. Free some room and run the command again: it goes on where it stopped. On Linux the usual build of\n"
     "PyTorch brings several GB of CUDA; README.md says how to get the small one for processors alone."),
    (r"Temporary failure in name resolution|Name or service not known|nodename nor servname"
     r"|NewConnectionError|Failed to establish a new connection|Network is unreachable|ConnectTimeout|Read timed out|ProxyError"
     r"|\(from versions: none\)",
     "The package index could not be reached. The first set-up needs the network once (about 600 MB); after it, nothing does.\n"
     "Check the connection (behind a proxy set HTTPS_PROXY, with a mirror of your own PIP_INDEX_URL) and run the command again."),
    (r"CERTIFICATE_VERIFY_FAILED",
     "The package index's certificate was refused, mostly because a company's proxy signs its own.\n"
     "Set PIP_CERT to the file with that proxy's certificate and run the command again."),
    (r"No matching distribution found|conflicting dependencies|ResolutionImpossible",
     "A package has no build for this Python and system. There are builds for Python 3.11 to 3.13 on Linux\n"
     "(x86-64 and ARM, glibc 2.28 or newer) and on macOS 14 or newer with Apple silicon. \n"
     "Another Python: make setup PYTHON=/path/to/python3.12"),
)


def fingerprint() -> str:
    """What the environment was made from: a hash over the two files, Python's version, and the place, which it cannot leave."""
    digest = hashlib.sha256("{}.{} {}".format(*sys.version_info[:2], ROOT).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def check_disk() -> None:
    """Stop before anything is installed where it would not fit."""
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_GB:
        sys.exit(f"The disk that holds {ROOT} has {free_gb:.1f} GB free, and the set-up needs about {NEEDED_GB} GB.\n"
                 "Free some room and run the command again.")


def make_venv() -> None:
    """A new environment, unless a usable one of this Python is there (an interrupted set-up leaves one that is not)."""
    version = "{}.{}".format(*sys.version_info[:2])
    probe = "import pip, sys; print('{}.{}'.format(*sys.version_info[:2]))"
    if PYTHON.exists() and not UNFINISHED.exists():
        found = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip() == version:
            return
    if VENV.exists():
        print("  .venv is incomplete or of another Python: it is made anew", flush=True)
    # Run from within .venv, the Python that it was made with must make it.
    made = subprocess.run([getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--clear", VENV],
                          capture_output=True, text=True, check=False)
    if made.returncode != 0:
        said = (made.stdout + made.stderr).strip()
        sys.exit(f"The virtual environment .venv could not be made:\n{said}\n{advice(said)}")


def shown(line: str) -> str | None:
    """The lines of pip's output that tell a person how far it is."""
    found = re.match(r"\s*Downloading (\S+) \((\d+\.\d+) ([MG]B)\)", line)
    if found and (found[3] == "GB" or float(found[2]) >= 10):
        package = found[1].rsplit("/", 1)[-1].split("-")[0]
        return f"  downloading {package} ({found[2]} {found[3]})"
    if line.startswith("Installing collected packages"):
        return f"  downloads complete, installing {line.count(',') + 1} packages (a minute or two)"
    return None


def install(*what: str) -> None:
    """pip, with all that it says in build/setup.log and what matters on the terminal."""
    LOG.parent.mkdir(exist_ok=True)
    command = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", *what]
    lines: list[str] = []
    with LOG.open("a", encoding="utf-8") as log, subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace") as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                log.write(line)
                lines.append(line)
                progress = shown(line)
                if progress:
                    print(progress, flush=True)
        except BaseException:
            pip.terminate()  # or it would go on writing into .venv while the next set-up does the same
            raise
    if pip.returncode != 0:
        errors = [line for line in lines if "error" in line.lower()] or lines
        sys.exit("\nThe packages could not be installed. pip said (all of it is in build/setup.log):\n"
                 + "".join("  " + line.strip() + "\n" for line in errors[-6:]) + "\n" + advice("".join(lines)))


def advice(output: str) -> str:
    for pattern, text in ADVICE:
        if re.search(pattern, output):
            return text
    return "Nothing is lost: run the command again. If it ends the same way, remove .venv (make clean) and try once more."


def quiet_jupyterlab() -> None:
    """No question about news when JupyterLab opens: it hides a corner of the notebook, and asks the network."""
    config = VENV / "etc" / "jupyter" / "labconfig" / "page_config.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))


def install_legacy_client() -> None:
    """The old client into its folder, unless it is there as constraints-legacy.txt says, for this Python."""
    stamp = LEGACY / "installed-from"
    wanted = "{}.{}\n".format(*sys.version_info[:2]) + LEGACY_PINS.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print("  installing the client of the old API beside today's, for the tests (a few MB)", flush=True)
    shutil.rmtree(LEGACY, ignore_errors=True)
    install("--no-deps", "--target", str(LEGACY), "--requirement", str(LEGACY_PINS))
    stamp.write_text(wanted, encoding="utf-8")


def fetch_base_model() -> None:
    """The base model into the user's cache; at once where it is there. The module explains its own failures."""
    fetched = subprocess.run([PYTHON, "-m", "local_api.engines.lora"], cwd=ROOT, check=False)
    if fetched.returncode != 0:
        sys.exit("The packages are installed, but the base model is not ready: see above. Then run the command again.")


def main() -> None:
    os.chdir(ROOT)
    wanted = fingerprint()
    if not (PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted):
        started = time.monotonic()
        check_disk()
        print("Setting up .venv, once: some 400 MB of packages are fetched and installed; a few minutes.", flush=True)
        make_venv()
        STAMP.unlink(missing_ok=True)
        UNFINISHED.touch()
        LOG.unlink(missing_ok=True)
        install("--constraint", "constraints.txt", "--editable", ".[local,dev]")
        quiet_jupyterlab()
        UNFINISHED.unlink()
        STAMP.write_text(wanted)
        print(f"  packages installed in {time.monotonic() - started:.0f} s", flush=True)
    install_legacy_client()
    fetch_base_model()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the command again to go on.")
