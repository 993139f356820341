"""Tables written as CSV or Parquet, whole or not at all, over nothing but what may go."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.errors import CovidlitError
from covidlit.files import check_replaceable, check_writable, remove_leftovers, write_bytes
from covidlit.tables.guard import cell_text, map_texts, printable_table
from covidlit.tables.reading import read_table
from covidlit.tables.rows import without_lines


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as `.csv` or `.parquet` (by its ending), atomically; returns the path.

    In CSV, texts that a spreadsheet would take for a formula are guarded (`cell_text`), which
    `read_table` takes back. The only writer of CSV tables.
    """
    path = check_table_path(path)
    remove_leftovers(path)
    table = without_lines(printable_table(table))
    # To memory first: the shorter the file is written, the less can be left of it by a kill.
    buffer = io.BytesIO()
    if path.suffix == ".parquet":
        table.to_parquet(buffer, index=False)
    else:
        buffer.write(csv_text(table).encode())
    write_bytes(path, buffer.getvalue())
    return path


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, its texts guarded by `cell_text`."""
    guarded = map_texts(table, cell_text)
    text: str = guarded.to_csv(index=False, quoting=_quoting(table), lineterminator="\n")
    return text


def _quoting(table: pd.DataFrame) -> Any:
    """As little as possible; everything where a text has a carriage return, which ends a row."""
    texts = table.select_dtypes(["object", "string", "category"])
    returns = any("\r" in value for name in texts for value in texts[name] if type(value) is str)
    return csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL


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
        try:
            return wanted.issubset(read_table(path))
        except CovidlitError:
            return False

    return check_replaceable(check_table_path(path), is_own, command, inputs)
