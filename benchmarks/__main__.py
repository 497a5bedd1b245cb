"""`python -m benchmarks [NAME ...]`: run the benchmarks and keep their tables in benchmarks/README.md."""

import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.report import machine

HERE = Path(__file__).parent
NAMES = ("training", "serving", "overhead", "mock_servers", "cold_start", "preparation")


def main() -> None:
    names = sys.argv[1:] or NAMES
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no benchmark called {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}")
    readme = HERE / "README.md"
    for name in names:
        head = machine()
        print(f"{name}: {head}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout, flush=True)
        section = f"{done.stdout.strip()}\n\nMeasured on {time.strftime('%Y-%m-%d')}: {head}\n"
        readme.write_text(replaced(readme.read_text(encoding="utf-8"), name, section), encoding="utf-8")


def replaced(text: str, name: str, section: str) -> str:
    """The report with the section between the marks of `name` exchanged."""
    marks = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    pattern = re.compile(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"benchmarks/README.md has no marks for {name}")
    return pattern.sub(lambda _: marks[0] + section + marks[1], text)


if __name__ == "__main__":
    main()
