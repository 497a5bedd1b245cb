"""Brings `.venv` to the newest versions that pyproject.toml allows, and writes their list into constraints.txt.

For maintainers; run the tests afterwards. With --freeze nothing is upgraded: what is installed is listed.

    .venv/bin/python scripts/constraints.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# The versions that were tested together, of everything that `pip install -e .[local,dev]` brings.
# Written by `make constraints`, which upgrades .venv and lists what it then holds. pyproject.toml says what is needed.
# The list is that of Linux; packages of other systems alone (appnope on macOS, say) are left to pip.
"""
# Versions held back, with the reason. They win over what is installed.
HELD = {
    "soupsieve": ("2.10", "4.1.2 refuses Python 3.11.0 to 3.11.4, which Debian 12 and Ubuntu 22.04 have"),
}
# Made by pip and venv themselves; pinning them would fight with those.
NOT_LISTED = {"pip", "wheel", "fine-tuning-cookbook"}


def render(frozen: str) -> str:
    """constraints.txt from the output of `pip freeze`. A build's local version (torch's +cpu) is one machine's business."""
    lines = [HEADER.rstrip()]
    lines += [f"# {name} is held back: {reason}." for name, (_, reason) in HELD.items()]
    for name, version in sorted(re.findall(r"^([A-Za-z0-9_.-]+)==([^+\s]+)\S*$", frozen, flags=re.MULTILINE),
                                key=lambda pin: pin[0].lower().replace("_", "-")):
        if name.lower() not in NOT_LISTED:
            lines.append(f"{name}=={HELD[name][0] if name in HELD else version}")
    return "\n".join(lines) + "\n"


def main() -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    if "--freeze" not in sys.argv[1:]:
        holds = [f"{name}=={version}" for name, (version, _) in HELD.items()]
        subprocess.run([*pip, "install", "--upgrade", "--upgrade-strategy", "eager", *holds, "--editable", f"{ROOT}[local,dev]"],
                       check=True)
    frozen = subprocess.run([*pip, "freeze", "--exclude-editable", "--all"], check=True, capture_output=True, text=True).stdout
    (ROOT / "constraints.txt").write_text(render(frozen), encoding="utf-8")


if __name__ == "__main__":
    main()
