"""The study of a sweep as a journal: one file that several machines may append to."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

_GRACE_S = 30
"""After so many seconds the lock of a process that was killed is taken away."""


def open_journal(path: Path) -> JournalStorage:
    """Optuna's journal in that file, which is made where it is missing."""
    return JournalStorage(_Journal(path.resolve()))


@contextmanager
def alone(sweep_dir: Path) -> Iterator[None]:
    """For what only one process of this folder may do at a time, on whatever machine."""
    sweep_dir.mkdir(parents=True, exist_ok=True)
    lock = JournalFileOpenLock(str(sweep_dir / ".start"), grace_period=_GRACE_S)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Journal(JournalFileBackend):
    """Optuna's, with the lock below and one error for all that a file system may say."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _WriterLock(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write at the end of the file."""
        try:
            super().append_logs(logs)
        except OSError as error:
            raise StorageInternalError(str(error)) from error

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Read from a line on."""
        try:
            yield from super().read_logs(log_number_from)
        except OSError as error:
            raise StorageInternalError(str(error)) from error


class _WriterLock(JournalFileOpenLock):
    """The lock of the process that writes, which takes away a line that another left unfinished.

    Optuna would append to such a line (of a full disk, a lost power supply) and could never read
    the study again. Its default lock, a symbolic link, does not expire where the link leads
    nowhere: under a relative path, or where another machine mounts the folder elsewhere. A file
    made with O_EXCL is as safe on NFS, from version 3 on.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal), grace_period=_GRACE_S)
        self._journal = journal

    def acquire(self) -> bool:
        """Wait for the lock."""
        super().acquire()
        try:
            _cut_unfinished_line(self._journal)
        except BaseException:
            self.release()
            raise
        return True


def _cut_unfinished_line(path: Path) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        file.seek(size - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
