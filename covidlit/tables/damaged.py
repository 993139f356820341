"""Workbooks and Parquet files that are damaged or something else, told as what to do about them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covidlit.errors import CovidlitError

_OF_THE_FILE = (None, errno.EINVAL)  # the latter of a place that is before its beginning
_WORKBOOK = (
    "an Excel workbook", "open it in a spreadsheet program, and save it as .xlsx or CSV again."
)  # fmt: skip
_KINDS = {
    ".xlsx": _WORKBOOK,
    ".xlsm": _WORKBOOK,
    ".parquet": ("a Parquet file", "write or copy it again, or save it as CSV."),
}


@contextmanager
def telling_damage(path: Path, error: type[CovidlitError]) -> Iterator[None]:
    """While a workbook or a Parquet file is read: whatever its reader raises names the file.

    Args:
        path: of the file.
        error: type of what is raised.

    Raises:
        CovidlitError: (of the type `error`) it is none, or damaged.
    """
    try:
        yield
    except (CovidlitError, MemoryError):
        raise
    except Exception as problem:  # what openpyxl and pyarrow raise on damage is not told
        if isinstance(problem, OSError) and problem.errno not in _OF_THE_FILE:
            raise  # of the disk, and not of what is in the file
        kind, fix = _KINDS[path.suffix.lower()]
        said = str(problem).strip().rstrip(".").splitlines()
        raise error(
            f"the table cannot be read: it is not {kind}, or is damaged"
            f" ({said[0] if said else type(problem).__name__}).",
            where=path,
            fix=fix,
        ) from problem
