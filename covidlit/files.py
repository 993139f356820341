"""Files that are either whole or not there: atomic writes and canonical JSON."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from covidlit.errors import CovidlitError, machine_trouble

try:
    import fcntl
except ImportError:  # Windows, which does not let an open file be renamed either
    fcntl = None  # type: ignore[assignment]

_PART = r"[0-9a-f]{8}\.part(\.\w+)*"
"""How `_new_beside` ends the names of files that are being written."""
_SECONDS_TO_LOCK = 1.0
"""A file that is younger may have been made, and not yet locked."""
_HALVES = re.compile("[\ud800-\udfff]")  # what Python decodes bytes to that are no UTF-8
_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it on success and vanishes on failure.

    So do folders that are made for it.

    Safe with many processes writing the same path: the last one to finish wins, and a reader sees
    one whole file or the other. A new file gets the permissions that the umask leaves, as `open`
    gives them; one that is there keeps its own.

    Raises:
        CovidlitError: the disk is full or the folder cannot be written.
    """
    target = Path(path)
    made = missing_folders(target.parent)
    try:
        kept = _permissions(target)
        # For its owner alone until it has the permissions of the file that it replaces.
        temporary = _in_its_folder(target, 0o666 if kept is None else 0o600)
    except OSError as error:
        raise _explain(error, target) from error
    lock = _locked(temporary)
    try:
        yield temporary
        if kept is not None:
            temporary.chmod(kept)
        temporary.replace(target)
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        temporary.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)
        remove_empty(made)  # where it failed


def remove_leftovers(path: str | Path) -> None:
    """Remove what killed processes have left of a file that they were writing at `path`.

    Those that a running process is writing are locked, and stay.
    """
    target = Path(path)
    own = re.compile(re.escape(f".{target.name}.") + _PART)
    with suppress(OSError):
        for part in target.parent.glob(f".{glob.escape(target.name)}.*.part*"):
            with suppress(OSError):
                if not own.fullmatch(part.name):
                    continue  # the user's
                if time.time() - part.stat().st_mtime > _SECONDS_TO_LOCK and _is_free(part):
                    part.unlink()


def _locked(path: Path) -> int | None:
    """A descriptor that holds a lock on a file until it is closed; None without locks."""
    if fcntl is None:
        return None
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor
    return None


def _is_free(path: Path) -> bool:
    descriptor = _locked(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def keep_permissions(new: Path, old: Path) -> None:
    """Give a new folder and its files the permissions of the folder that it is to replace.

    Files that the old folder does not have keep their own.
    """
    for path in (new, *new.rglob("*")):
        kept = _permissions(old / path.relative_to(new))
        if kept is not None:
            path.chmod(kept)


def check_writable(path: str | Path) -> None:
    """Make sure that a file can be written at `path`, without writing anything there.

    Raises:
        CovidlitError: `path` is a folder, its name is too long, or its folder cannot be written or
            made.
    """
    target = Path(path)
    _check_names(target)
    folder = next(folder for folder in target.absolute().parents if os.access(folder, os.F_OK))
    if not folder.is_dir():
        problem = errno.ENOTDIR
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem = errno.EACCES
    elif target.is_dir():
        problem = errno.EISDIR
    else:
        return
    raise _explain(OSError(problem, os.strerror(problem)), target)


def _check_names(target: Path) -> None:
    """Make sure that no name of a path is too long, nor that of the file that is first written."""
    absolute = _beside(target.absolute(), "0" * 8)
    there = next(each for each in absolute.parents if os.access(each, os.F_OK))
    # One by one: behind a folder that is not there the system looks at no further name.
    for each in (absolute, *(there / name for name in absolute.relative_to(there).parts)):
        try:
            each.lstat()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise _explain(error, target) from error


def missing_folders(folder: Path) -> list[Path]:
    """Of a folder and those above it, the ones that are not there; the innermost first."""
    return list(takewhile(lambda each: not os.path.lexists(each), (folder, *folder.parents)))


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those folders that hold nothing; the innermost has to come first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def make_folder(path: str | Path) -> Path:
    """Make a folder, and those above it, if they are not there.

    Raises:
        CovidlitError: it cannot be made, or is a file.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explain(error, folder) from error
    return folder


def check_replaceable(
    path: Path, is_own: Callable[[Path], bool], command: str, inputs: Iterable[str | Path] = ()
) -> Path:
    """The path, if a file can be written there over nothing but an earlier one of the command.

    Args:
        path: to be written.
        is_own: whether the file that lies there is one that the command writes.
        command: its name, for the message.
        inputs: what the command reads, which it never writes over, its own earlier output included.

    Raises:
        CovidlitError: another file or an input lies there, or the place cannot be written.
    """
    check_writable(path)
    if not path.exists():
        return path
    for given in map(Path, inputs):
        if given.exists() and path.samefile(given):
            raise CovidlitError(
                f"`{command}` would write over what it is to read.",
                where=path,
                fix="give another name.",
            )
    if not is_own(path):
        raise CovidlitError(
            f"`{command}` would write over a file that it did not write.",
            where=path,
            fix="give another name, or remove that file first.",
        )
    return path


def check_own_page(
    path: Path, generator: str, *, command: str | None = None, older: str | None = None
) -> Path:
    """The path, if a page can be written there over nothing but an earlier one of the command.

    Args:
        path: .html.
        generator: what the command's own pages say in `<meta name="generator">`.
        command: its name, for the message; by default `generator`.
        older: words by which a page of a version is known that wrote no generator.

    Raises:
        CovidlitError: another file lies there, another ending, or a place that cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise CovidlitError(
            f"a page must end in .html, not {path.suffix!r}.", where=path, fix="rename it."
        )

    def is_own(path: Path) -> bool:
        with path.open("rb") as file:
            head = file.read(2000)
            if b'name="generator"' in head:
                return f'content="{generator}"'.encode() in head
            return older is not None and older.encode() in head + file.read()

    return check_replaceable(path, is_own, command or generator)


def check_own_json(path: Path, keys: Iterable[str], command: str) -> Path:
    """The path, if JSON can be written there over nothing but an earlier one of the command.

    Args:
        path: .json.
        keys: by which the command's own mapping is known.
        command: its name, for the message.

    Raises:
        CovidlitError: another file lies there, or a place that cannot be written.
    """

    def is_own(path: Path) -> bool:
        try:
            content = json.loads(path.read_bytes())
        except ValueError:
            return False
        return isinstance(content, dict) and set(content).issuperset(keys)

    return check_replaceable(path, is_own, command)


def is_writable(folder: str | Path) -> bool:
    """Whether files can be made in a folder, or in the one that it would be made in."""
    place = Path(folder).absolute()
    there = next(each for each in (place, *place.parents) if os.access(each, os.F_OK))
    return os.access(there, os.W_OK | os.X_OK)


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8 to `path` atomically and return the path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write `content` to `path` atomically and return the path."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON (no NaN) to `path` atomically and return the path."""
    return write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def printable(text: str | Path) -> str:
    """A path as text that every table, log and terminal can hold.

    The bytes of a name that are no UTF-8, as old archives have them, become `\\xNN`; `path_named`
    finds the file again.
    """
    return _HALVES.sub(lambda half: f"\\x{ord(half[0]) & 0xFF:02x}", str(text))


def path_named(text: str | Path) -> Path:
    """The path that a text stands for, also one that `printable` has written."""
    path = Path(text)
    if "\\x" not in str(text) or os.path.lexists(path):
        return path
    raw = _ESCAPED.sub(lambda byte: chr(0xDC00 + int(byte[1], 16)), str(text))
    return Path(raw) if os.path.lexists(raw) else path


def fingerprint(value: Any) -> str:
    """SHA-256 (hex) of a JSON-serialisable value in canonical form: equal values, equal hash."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _in_its_folder(target: Path, mode: int, tries: int = 5) -> Path:
    """A new file beside `target`, whose folder is made where there is none."""
    for _ in range(tries - 1):
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # one who failed to write there took his folder away
            return _new_beside(target, mode)
    target.parent.mkdir(parents=True, exist_ok=True)
    return _new_beside(target, mode)


def _new_beside(target: Path, mode: int) -> Path:
    """An empty file beside `target`, hidden, under a name of its own with the same ending.

    Not by `tempfile`, whose files are for their owner alone: here the system applies the umask.
    """
    while True:
        path = _beside(target, secrets.token_hex(4))
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        except FileExistsError:
            continue
        return path


def _beside(target: Path, token: str) -> Path:
    """A hidden name beside `target` with the same ending."""
    ending = ".nii.gz" if target.name.endswith(".nii.gz") else target.suffix
    return target.with_name(f".{target.name}.{token}.part{ending}")


def _permissions(path: Path) -> int | None:
    """Those of a file or folder; None where there is none."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


def _explain(error: OSError, path: Path) -> CovidlitError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CovidlitError(
            "the disk is full; nothing was written.",
            where=path,
            fix="free some space or choose another folder, then run the same command again.",
        )
    if error.errno == errno.ENAMETOOLONG:
        return CovidlitError(
            f"cannot write: {os.strerror(error.errno)}.", where=path, fix="choose a shorter name."
        )
    denied = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
    if not denied and (trouble := machine_trouble(error)) is not None:
        return CovidlitError(trouble.what, where=path, fix=trouble.fix)
    reason = error.strerror or str(error)
    return CovidlitError(
        f"cannot write: {reason}.", where=path, fix="check the folder and its permissions."
    )


def require_path(path: str | Path) -> Path:
    """The path, if there is something.

    Raises:
        CovidlitError: there is nothing, or a name in it is too long for any system.
    """
    path = path_named(path)
    try:
        is_there = path.exists()
    except OSError as error:
        raise CovidlitError(f"{error.strerror}.", where=path, fix="check the path.") from error
    if not is_there:
        raise CovidlitError("there is no such file or folder.", where=path, fix="check the path.")
    return path
