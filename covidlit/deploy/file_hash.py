"""SHA-256 of files, which is computed again only where a file has changed.

Hashing a checkpoint and its export takes a third of a second of each `covidlit predict`. What was
hashed is known by its place, inode, size and times: as in git, a file that was written just before
it was hashed could be written once more within the same tick of the clock, so that its hash is not
kept.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

from covidlit.deploy.kept import kept_folder, outdated, signature
from covidlit.errors import CovidlitError
from covidlit.files import fingerprint, write_bytes

SETTLED = 10.0
"""Seconds since a file was last written, from which on its hash is kept."""

MOST = 64
"""Hashes that are kept."""


def file_hash(path: str | Path) -> str:
    """SHA-256 (hex) of a file.

    Raises:
        OSError: it cannot be read.
    """
    path = Path(path).absolute()
    return _hash_of(path, signature(path))


@lru_cache(maxsize=64)
def _hash_of(path: Path, signed: tuple[int, ...]) -> str:
    if not signed[1]:
        return hashlib.sha256().hexdigest()  # nothing can be mapped of an empty file
    began = time.time()
    folder = kept_folder("hashes")
    kept = None if folder is None else folder / fingerprint([str(path), *signed])
    if kept is not None and (known := _known(kept)) is not None:
        return known
    # At once, not piece by piece: between the pieces a thread would wait for Python's lock.
    with path.open("rb") as handle, mmap(handle.fileno(), 0, access=ACCESS_READ) as content:
        found = hashlib.sha256(content).hexdigest()
    if kept is not None and began - max(signed[2:]) / 1e9 > SETTLED and signature(path) == signed:
        with suppress(OSError, CovidlitError):  # a full disk
            write_bytes(kept, found.encode())
            for old in outdated(kept.parent, MOST):
                old.unlink(missing_ok=True)
    return found


def _known(kept: Path) -> str | None:
    with suppress(OSError, ValueError):
        text = kept.read_text(encoding="ascii")
        if len(text) == 64 and int(text, 16) >= 0:
            return text
    return None
