"""What comes from a caller, on the disk until it is handed over to an upload.

A batch is a folder for what one caller sends until it is quiet: scanners open an association for a
series, and some for each image. An object is in its batch whole, and on the disk, before the caller
is told that it is kept. Batches outlive the process; parts of objects do not.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PARTS = ".parts"


class SpoolFullError(Exception):
    """A batch holds as much as an upload may."""


@dataclass(eq=False)
class Batch:
    """What one caller sends.

    Args:
        token: name of its folder.
        n_files, n_bytes: that it holds.
        n_open: associations that may add to it.
        touched_at: when something last happened to it (`time.monotonic`).
    """

    token: str
    n_files: int = 0
    n_bytes: int = 0
    n_open: int = 0
    touched_at: float = 0.0


class Spool:
    """The folder of batches; safe with many threads.

    Args:
        root: the folder; parts of objects of an earlier process are removed.
        max_files, max_bytes: of a batch.
    """

    def __init__(self, root: Path, max_files: int, max_bytes: int) -> None:
        self.root = root
        self.max_files, self.max_bytes = max_files, max_bytes
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Batch] = {}
        shutil.rmtree(self.parts, ignore_errors=True)
        self.parts.mkdir(parents=True)

    @property
    def parts(self) -> Path:
        """Where objects are written while they come; on the same disk."""
        return self.root / PARTS

    def begin(self, caller: tuple[str, str]) -> Batch:
        """The batch of a caller's new association.

        Args:
            caller: AE title and address.
        """
        with self._lock:
            batch = self._open.get(caller)
            if batch is None:
                batch = self._open[caller] = Batch(secrets.token_hex(12))
            batch.n_open += 1
            batch.touched_at = time.monotonic()
            return batch

    def end(self, batch: Batch) -> None:
        """An association of a batch has ended."""
        with self._lock:
            batch.n_open -= 1
            batch.touched_at = time.monotonic()

    def add(self, batch: Batch, written: Path, sop_instance_uid: str) -> None:
        """Put an object into a batch; the same one again takes its place.

        Args:
            batch: of an association that is open.
            written: the whole object, in `parts`; moved.
            sop_instance_uid: of it.

        Raises:
            SpoolFullError: the batch holds as much as it may.
            OSError: the disk does not take it.
        """
        # No name from outside becomes the name of a file.
        name = hashlib.sha256(sop_instance_uid.encode()).hexdigest()[:32] + ".dcm"
        folder = self.root / batch.token
        size = written.stat().st_size
        with self._lock:
            full = batch.n_files >= self.max_files or batch.n_bytes + size > self.max_bytes
            if full or batch not in self._open.values():  # or handed over meanwhile
                raise SpoolFullError
            batch.n_files += 1
            batch.n_bytes += size
            batch.n_open += 1
        try:
            folder.mkdir(exist_ok=True)
            with written.open("rb") as file:
                os.fsync(file.fileno())
            written.replace(folder / name)
            _sync_folder(folder)
        finally:
            self.end(batch)

    def settled(self, seconds: float) -> list[str]:
        """Batches to hand over: those that were quiet for so long, and those of earlier processes.

        Nothing is added to them any more.
        """
        now = time.monotonic()
        with self._lock:
            quiet = [
                caller
                for caller, batch in self._open.items()
                if batch.n_open <= 0 and now - batch.touched_at >= seconds
            ]
            for caller in quiet:
                del self._open[caller]
            if all(batch.n_open <= 0 for batch in self._open.values()):
                for part in self.parts.iterdir():  # of associations that broke off
                    part.unlink(missing_ok=True)
            used = {batch.token for batch in self._open.values()}
            return sorted(
                path.name
                for path in self.root.iterdir()
                if path.is_dir() and path.name != PARTS and path.name not in used
            )


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file survive a loss of power too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
