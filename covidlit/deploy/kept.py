"""What one process keeps for the next: compiled graphs and hashes of files, in the user's cache."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

VARIABLE = "COVIDLIT_CACHE"
"""Of the environment: another folder for it; empty: nothing is kept."""


def kept_folder(name: str) -> Path | None:
    """A folder of the user's own, made (mode 0700) if needed; None where nothing is to be kept or
    can be, or where it or the folder around it is another's or others may write.

    Args:
        name: of it, within all that is kept.
    """
    given = os.environ.get(VARIABLE)
    if given == "":
        return None
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with suppress(OSError, RuntimeError):  # no home, or one that cannot be written
        around = Path(given or Path(caches, "covidlit")).expanduser()
        folder = around / name
        for each in (around, folder):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _is_own(each):  # what somebody else has put there would be trusted
                return None
        if os.access(folder, os.W_OK):
            return folder
    return None


def _is_own(folder: Path) -> bool:
    """Whether a folder is this user's, and nobody else may write there."""
    at = folder.stat()
    return not hasattr(os, "getuid") or (at.st_uid == os.getuid() and not at.st_mode & 0o022)


def signature(path: Path) -> tuple[int, ...]:
    """What changes whenever a file's content does.

    Raises:
        OSError: there is none.
    """
    at = path.stat()
    return at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns


def outdated(folder: Path, most: int) -> list[Path]:
    """All but the newest entries of a folder; what has a leading dot is none."""
    kept = [one for one in folder.iterdir() if not one.name.startswith(".")]
    times = {}
    for one in kept:
        with suppress(OSError):  # another process was quicker
            times[one] = one.stat().st_mtime
    return sorted(times, key=times.__getitem__, reverse=True)[most:]
