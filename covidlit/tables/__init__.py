"""Tables at the seams: read and write CSV or Parquet, and hold them against a schema."""

from covidlit.tables.guard import cell_text, without_guard
from covidlit.tables.reading import MISSING, csv_dialect, read_table
from covidlit.tables.rows import row_numbers
from covidlit.tables.schema import validate
from covidlit.tables.writing import check_own_table, check_table_path, csv_text, write_table

__all__ = [
    "MISSING",
    "cell_text",
    "check_own_table",
    "check_table_path",
    "csv_dialect",
    "csv_text",
    "read_table",
    "row_numbers",
    "validate",
    "without_guard",
    "write_table",
]
