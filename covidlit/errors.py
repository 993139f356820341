"""The errors that covidlit raises on purpose; each names what is wrong, where, how to mend it."""

from __future__ import annotations

import difflib
import errno
import traceback
from collections.abc import Iterable
from pathlib import Path


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
        self.what = what
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


def disk_full(error: OSError, fix: str) -> CovidlitError | None:
    """The user's error where the system says that the disk is full, None where it says another."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return CovidlitError("the disk is full.", where=error.filename, fix=fix)


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


class TrainingError(CovidlitError):
    """A training that cannot go on, or that left a network without usable scores."""


class ConfigError(CovidlitError):
    """A configuration that asks for something that does not exist or does not fit."""
