"""Where a table can be written, over nothing but what may go."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from covidlit.errors import CovidlitError
from covidlit.files import check_replaceable, check_writable

_LONGEST = 1 << 16
"""Characters of a row of names."""


def check_table_path(path: str | Path) -> Path:
    """The path, if `write_table` can write there; to ask before the work that fills the table.

    Raises:
        CovidlitError: another ending than `.csv` or `.parquet`, or a place that cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise CovidlitError(
            f"a table must end in .csv or .parquet, not {path.suffix!r}.", where=path
        )
    check_writable(path)
    return path


def check_own_table(
    path: str | Path,
    columns: Iterable[str],
    command: str,
    inputs: Iterable[str | Path] = (),
) -> Path:
    """The path, if a table can be written there over nothing but an earlier one of the command.

    Args:
        path: .csv or .parquet.
        columns: by which the command's own table is known.
        command: its name, for the message.
        inputs: what the command reads, which it never writes over.

    Raises:
        CovidlitError: another file or an input lies there, or see `check_table_path`.
    """
    wanted = set(columns)

    def is_own(path: Path) -> bool:
        if path.suffix == ".csv" and wanted.issubset(_first_row(path)):
            return True
        # Only here: where nothing else lies there, nobody waits for pandas.
        from covidlit.tables.reading import read_table

        try:
            return wanted.issubset(read_table(path))
        except CovidlitError:
            return False

    return check_replaceable(check_table_path(path), is_own, command, inputs)


def _first_row(path: Path) -> list[str]:
    """The names of the columns of a CSV as `write_table` writes it; empty where it is another."""
    with suppress(OSError, ValueError, csv.Error), path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader([file.readline(_LONGEST)]), [])
    return []
