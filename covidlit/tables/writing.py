"""Tables written as CSV or Parquet, whole or not at all, over nothing but what may go."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.files import remove_leftovers, write_bytes
from covidlit.tables.guard import cell_text, map_texts, printable_table
from covidlit.tables.places import check_table_path
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
