"""Tables at the seams: read and write CSV or Parquet, and hold them against a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

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

# pandas takes a quarter of a second to import, which a score of a scan can do meanwhile.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "grid": ["Grid", "Merged", "read_grid"],
        "guard": ["cell_text", "without_guard"],
        "places": ["check_own_table", "check_table_path"],
        "reading": ["MISSING", "csv_dialect", "read_table"],
        "rows": [
            "listed_rows",
            "row_lines",
            "row_numbers",
            "row_texts",
            "rows_text",
            "without_lines",
        ],
        "schema": ["validate"],
        "writing": ["csv_text", "write_table"],
    },
)
