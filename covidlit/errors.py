"""The errors that covidlit raises on purpose; each names what is wrong, where, how to mend it."""

from __future__ import annotations

import difflib
import errno
import os
import shutil
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def did_you_mean(asked: str, known: Iterable[str], n: int = 1, cutoff: float = 0.6) -> str | None:
    """The sentence that suggests up to `n` known names like the one asked for, or None."""
    near = difflib.get_close_matches(asked, list(known), n=n, cutoff=cutoff)
    return f"did you mean {' or '.join(near)}?" if near else None


class CovidlitError(Exception):
    """A problem with the user's input that the user can mend.

    Args:
        what: what is wrong, with the offending value.
        where: the file, row, column or argument it was found in.
        fix: what to do about it.
    """

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        # Many a sentence ends with what another program says, which has a full stop of its own.
        self.what = what[:-1] if what.endswith("..") and not what.endswith("...") else what
        self.where = None if where is None else str(where)
        self.fix = fix
        super().__init__(what, where, fix)

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        return text if self.fix is None else f"{text} Fix: {self.fix}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, so that worker processes can raise it."""
        return _rebuild, (type(self), self.what, self.where, self.fix)


def _rebuild(
    kind: type[CovidlitError], what: str, where: str | None, fix: str | None
) -> CovidlitError:
    error = kind.__new__(kind)
    CovidlitError.__init__(error, what, where=where, fix=fix)
    return error


def machine_trouble(
    error: BaseException,
    then: str = "Then run the same command again.",
    writing: Path | None = None,
) -> CovidlitError | None:
    """What the machine lacked, as the user's error; None where an error is about something else.

    Libraries wrap what the system says (torch and pyarrow in a RuntimeError, the loader of compiled
    modules in an ImportError), so causes are looked at too, and texts where there is no number.

    Args:
        error: as it was caught.
        then: how to go on once that is mended, as a sentence.
        writing: the folder that was written to, where the error does not name it.
    """
    where = None
    for each in _chain(error):
        where = where or getattr(each, "filename", None) or getattr(each, "where", None)
        if (kind := _trouble_kind(each)) is not None:
            what, mend = _TROUBLES[kind]
            if kind == "disk":
                where = where or writing or _full_disks()
            return CovidlitError(what, where=where, fix=f"{mend}. {then}")
        if isinstance(error, CovidlitError) or where is None:
            continue
        if isinstance(each, OSError) and each.errno in _PLACES:
            said = f"{os.strerror(each.errno)}."
            return CovidlitError(said, where=where, fix=f"{_PLACES[each.errno]}. {then}")
    return None


_DENIED = "check the folder and its permissions, or choose another"
_PLACES = {
    errno.EROFS: _DENIED,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""How to mend a place that the system does not take."""


_TROUBLES = {
    "disk": ("the disk is full.", "free some space"),
    "memory": (
        "there is not enough memory for this (the machine's, a container's, or `ulimit -v`).",
        "free some memory or allow more, or use fewer processes",
    ),
    "files": (
        "too many files are open: `ulimit -n` says how many this process may open.",
        "allow more, such as by `ulimit -n 1024`, or use fewer processes",
    ),
    "processes": (
        "the system starts no further process or thread (`ulimit -u`, or a container's limit).",
        "allow more, or use fewer processes",
    ),
    "shared memory": (
        "/dev/shm is full, in which the loader's processes hand over their batches.",
        "load in this process (data.num_workers=0), or give a container more "
        "(docker run --shm-size=2g)",
    ),
}
_BY_NUMBER = {
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    errno.ENOMEM: "memory",
    errno.EMFILE: "files",
    errno.ENFILE: "files",
    errno.EAGAIN: "processes",
}
_BY_TEXT = (
    ("shared memory", "shared memory"),
    ("bus error", "shared memory"),
    ("no space left on device", "disk"),
    ("disk quota exceeded", "disk"),
    ("too many open files", "files"),
    ("can't start new thread", "processes"),
    ("resource temporarily unavailable", "processes"),
    ("cannot allocate memory", "memory"),
    ("can't allocate memory", "memory"),
    ("not enough memory", "memory"),
    ("out of memory", "memory"),
    ("bad_alloc", "memory"),
    ("failed to map segment", "memory"),
)


def _trouble_kind(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_NUMBER.get(error.errno)
    if not isinstance(error, OSError | RuntimeError | ImportError | SystemError):
        return None
    said = str(error).lower()
    return next((kind for text, kind in _BY_TEXT if text in said), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, outermost first."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        context = None if found.__suppress_context__ else found.__context__
        found = found.__cause__ or context


def _full_disks() -> str | None:
    """Of the disks that are written to without being named, those that have no space."""
    folders = dict.fromkeys([Path.cwd(), Path(tempfile.gettempdir())])
    full = [str(folder) for folder in folders if shutil.disk_usage(folder).free < _NO_SPACE]
    return ", ".join(full) or None


_NO_SPACE = 1 << 20


def fault_reason(error: Exception, doing: str = "reading it") -> str:
    """The reason for leaving out a file that covidlit stumbled over: the error's type and place.

    Without its message, which may quote the file.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    return f"a fault while {doing}: {place}; report it."


class DicomError(CovidlitError):
    """A DICOM file or series that cannot be used."""


class ManifestError(CovidlitError):
    """A manifest, label table or clinical table that breaks its schema."""


class SplitError(CovidlitError):
    """A split that cannot be made or does not fit the manifest."""


class LeakageError(SplitError):
    """The same patient or the same pixels stand in two parts of a split."""


class CacheError(CovidlitError):
    """A prepared volume that is missing, damaged or of another format."""


class PredictionsError(CovidlitError):
    """A predictions table that breaks its schema or cannot be evaluated."""


class CheckpointError(CovidlitError):
    """A checkpoint that is missing, damaged, untrusted or of another model."""


class ExportError(CovidlitError):
    """An exported network that is refused, damaged, or of another state of its checkpoint."""


class ParityError(ExportError):
    """An exported network whose results differ from PyTorch's by more than is allowed.

    Attributes:
        measured: what was measured, as it would have been kept in `model.json`.
    """

    measured: Mapping[str, Any] = {}  # what is left where a worker process raised it

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        fix: str | None = None,
        measured: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        if measured is not None:
            self.measured = measured


class TrainingError(CovidlitError):
    """A training that cannot go on, or that left a network without usable scores."""


class ConfigError(CovidlitError):
    """A configuration that asks for something that does not exist or does not fit."""
