"""Bytes on disk under their SHA-256: uploaded files and result files (`files/`), adapters (`adapters/`).

Whatever appears under its final name is complete: it is written and synchronised under a temporary name, then renamed.
"""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

CHUNK = 1024 * 1024


class Contents:
    """The contents of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.files, self.adapters, self.incoming = (data_dir / name for name in ("files", "adapters", "incoming"))
        for folder in (self.files, self.adapters, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def file(self, sha256: str) -> Path:
        return self.files / sha256

    def adapter(self, sha256: str) -> Path:
        return self.adapters / sha256

    @contextmanager
    def receive(self, source: BinaryIO) -> Iterator[Path]:
        """Copy `source` to a temporary file that is gone after the block unless `keep` took it."""
        descriptor, name = tempfile.mkstemp(dir=self.incoming)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(source, target, CHUNK)
                target.flush()
                os.fsync(target.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, path: Path, sha256: str | None = None) -> str:
        """Move a received file to its place. Returns its SHA-256, which whoever holds a lock computes before."""
        digest = sha256 or file_hash(path)
        path.replace(self.file(digest))
        synchronise(self.files)
        return digest

    def keep_adapter(self, folder: Path) -> str:
        """Copy an adapter's folder to its place under the hash of its files. Returns that hash."""
        digest = folder_hash(folder)
        if not self.adapter(digest).exists():
            with tempfile.TemporaryDirectory(dir=self.incoming) as temporary:
                copy = Path(temporary) / "adapter"
                shutil.copytree(folder, copy)
                for path in copy.rglob("*"):
                    if path.is_file():
                        with path.open("rb") as file:
                            os.fsync(file.fileno())
                try:
                    copy.rename(self.adapter(digest))
                except OSError:  # somebody else put the same content there in between
                    if not self.adapter(digest).exists():
                        raise
            synchronise(self.adapters)
        return digest

    def adapter_bytes(self, sha256: str) -> int:
        return sum(path.stat().st_size for path in self.adapter(sha256).rglob("*") if path.is_file())

    def drop(self, path: Path) -> None:
        """Delete a file or an adapter: first out of its place, so that none is ever half there."""
        if not path.is_dir():
            path.unlink(missing_ok=True)
            return
        gone = self.incoming / f"{path.name}-{secrets.token_hex(4)}"
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def drop_unused(self, used_files: Iterable[str], used_adapters: Iterable[str]) -> None:
        """Delete what no row names any more, and what a dead process left half-received."""
        for folder, used in ((self.files, set(used_files)), (self.adapters, set(used_adapters)), (self.incoming, set())):
            for path in folder.iterdir():
                if path.name not in used:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_hash(folder: Path) -> str:
    """The hash of a folder's file names and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {file_hash(path)}\n".encode())
    return digest.hexdigest()


def synchronise(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
