"""Tables at the seams: read and write CSV or Parquet, and hold them against a schema."""

from covidlit.tables.grid import Grid, Merged, read_grid
from covidlit.tables.guard import cell_text, without_guard
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
from covidlit.tables.writing import check_own_table, check_table_path, csv_text, write_table

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
