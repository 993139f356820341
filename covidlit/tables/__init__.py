"""Tables at the seams: read and write CSV or Parquet, and hold them against a schema."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.tables.grid import Grid, Merged, read_grid
    from covidlit.tables.guard import cell_text, without_guard
    from covidlit.tables.places import check_own_table, check_table_path
    from covidlit.tables.reading import MISSING, csv_dialect, read_table
    from covidlit.tables.rows import (
        listed_rows,
        row_lines,
        row_numbers,
        row_texts,
        rows_text,
        without_lines,
    )
    from covidlit.tables.schema import validate
    from covidlit.tables.writing import csv_text, write_table

__all__ = [
    "MISSING",
    "Grid",
    "Merged",
    "cell_text",
    "check_own_table",
    "check_table_path",
    "csv_dialect",
    "csv_text",
    "listed_rows",
    "read_grid",
    "read_table",
    "row_lines",
    "row_numbers",
    "row_texts",
    "rows_text",
    "validate",
    "without_guard",
    "without_lines",
    "write_table",
]

_MODULES = {
    "Grid": "grid",
    "Merged": "grid",
    "read_grid": "grid",
    "cell_text": "guard",
    "without_guard": "guard",
    "MISSING": "reading",
    "csv_dialect": "reading",
    "read_table": "reading",
    "listed_rows": "rows",
    "row_lines": "rows",
    "row_numbers": "rows",
    "row_texts": "rows",
    "rows_text": "rows",
    "without_lines": "rows",
    "validate": "schema",
    "check_own_table": "places",
    "check_table_path": "places",
    "csv_text": "writing",
    "write_table": "writing",
}


def __getattr__(name: str) -> Any:
    # pandas takes a quarter of a second to import, which a score of a scan can do meanwhile.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
