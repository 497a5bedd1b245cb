"""What every benchmark needs: a table in Markdown, the machine in words, repeated runs in turn. Measures nothing itself.

    print(table("Server overhead", ["what", "requests/s"], [["bare handler", 5000], ["local API", 2500]]))
"""

import os
import platform
import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import psutil

Key = TypeVar("Key", bound=Hashable)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> str:
    """A section of Markdown: title, table, and a note that says how it was measured."""
    lines = [f"## {title}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(number(cell) for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", note]).rstrip() + "\n"


def number(cell: object) -> str:
    """Three significant digits are more than these machines repeat."""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def machine() -> str:
    """The machine and what else ran on it, for the head of the report."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "xllamacpp", "openai"))
    load = f", load average {os.getloadavg()[0]:.1f} when this began" if hasattr(os, "getloadavg") else ""
    return (f"{processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
            f"{platform.system()}, Python {platform.python_version()}; {packages}{load}.")


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def in_turn(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, float]:
    """The median of each measure over `rounds`, taken in turn, so that a busy minute hits all of them alike."""
    taken: dict[Key, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: statistics.median(values) for name, values in taken.items()}
