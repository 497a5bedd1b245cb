"""Progress bars on the terminal's error stream, for files that take a while. Knows nothing of what is done.

    with Bar().reading(path) as progress: progress(bytes_done)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LONG = 5_000_000  # bytes; a shorter file is done before a bar is read


class Bar:
    """The bars of one run. They vanish when done, and appear on a terminal alone."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.is_long = False

    @contextmanager
    def reading(self, path: Path) -> Iterator[Callable[[int], None]]:
        """A function that is told how many bytes of the file have been read."""
        size = path.stat().st_size
        self.is_long = size > LONG
        with self._bar(f"Reading {path.name}", size) as move:
            yield move

    @contextmanager
    def checking(self) -> Iterator[Callable[[int, int], None]]:
        """A function that is told how many checks are done, of how many."""
        with self._bar("Checking", 1) as move:
            yield lambda done, of: move(done / of)

    @contextmanager
    def _bar(self, what: str, total: float) -> Iterator[Callable[[float], None]]:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True,
                      disable=not (self.is_long and self.console.is_terminal)) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)
