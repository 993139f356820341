"""A folder that is replaced as a whole: there is always the old one or the new one."""

from __future__ import annotations

import ctypes
import glob
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from covidlit.errors import machine_trouble
from covidlit.files import missing_folders, remove_empty

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_LOCK = "lock"
_SECONDS_TO_LOCK = 1.0


@contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside `folder` that vanishes; also that of a killed process.

    What a killed process has left is removed by the next one that works on the same folder: a lock
    in it tells the two apart.

    Raises:
        CovidlitError: the disk is full, or the machine lacks something else.
    """
    made = missing_folders(folder.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    own = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.part")
    own.mkdir()
    try:
        with FileLock(own / _LOCK):
            yield own
    except (OSError, RuntimeError) as error:
        if (trouble := machine_trouble(error, writing=folder)) is None:
            raise
        raise trouble from error
    finally:
        shutil.rmtree(own, ignore_errors=True)
        remove_empty(made)  # where nothing was put beside it


def swap_folder(new: Path, folder: Path) -> None:
    """Put the folder `new` in the place of `folder`; what was there is at `new` then, if anything.

    On Linux in one step, so that whoever opens `folder` finds one or the other.
    """
    if not folder.exists():
        new.rename(folder)
        return
    if _exchange(new, folder):
        return
    # Elsewhere there is no such step. The moment without the folder is kept as short as it gets.
    aside = new.with_name(f"{new.name}.before")
    folder.rename(aside)
    new.rename(folder)
    aside.rename(new)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step; False where the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    with suppress(OSError, AttributeError):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        names = (os.fsencode(first), os.fsencode(second))
        done = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
        return bool(done == 0)
    return False


def _remove_leftovers(folder: Path) -> None:
    own = re.compile(re.escape(f".{folder.name}.") + r"[0-9a-f]{8}\.part")
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        with suppress(OSError, Timeout):
            if not own.fullmatch(left.name):
                continue  # the user's
            if not left.is_dir() or time.time() - left.stat().st_mtime < _SECONDS_TO_LOCK:
                continue
            with FileLock(left / _LOCK, timeout=0):
                shutil.rmtree(left, ignore_errors=True)
