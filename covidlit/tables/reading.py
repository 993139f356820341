"""Tables as they come: CSV as a spreadsheet writes it, Parquet, Excel."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd

from covidlit.errors import CovidlitError
from covidlit.tables.damaged import telling_damage
from covidlit.tables.guard import map_texts, without_guard
from covidlit.tables.rows import lines_of_csv, note_lines, without_lines

_START, LARGEST_WORKBOOK = 1 << 16, 1 << 30  # bytes
_TEXT_COLUMNS = (
    "path", "centre", "class_name", "aetiology", "severity", "quality_grade", "epidemiology",
    "manufacturer", "scanner_model", "kernel", "model", "reason",
)  # fmt: skip

MISSING = (
    "", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan",
    "NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip
"""What stands for a missing value in a CSV table, as R, spreadsheets and pandas write it."""


def read_table(path: str | Path, error: type[CovidlitError] = CovidlitError) -> pd.DataFrame:
    """Read a `.csv`, `.parquet` or `.xlsx` table; identifiers such as `patient_id` stay text.

    CSV may be as a spreadsheet writes it: with semicolons or tabs, decimal commas, a byte-order
    mark, or in UTF-16.

    Raises:
        CovidlitError: (of the type `error`) missing, empty, unreadable or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise error("there is no such file.", where=path, fix="check the path.")
    try:
        if path.suffix.lower() == ".parquet":
            with telling_damage(path, error):
                return without_lines(pd.read_parquet(path).reset_index(drop=True))
        if path.suffix.lower() == ".csv":
            dialect = csv_dialect(path)
            text = _as_text(pd.read_csv(path, nrows=0, **dialect).columns)
            table = pd.read_csv(
                path, dtype=text, keep_default_na=False, na_values=list(MISSING), **dialect
            )
            return _numbered(map_texts(table, without_guard), path, dialect)
        if path.suffix.lower() == ".xlsx":
            with telling_damage(path, error):
                return note_lines(_read_workbook(path, error), 2)
    except UnicodeDecodeError as problem:
        raise error(
            f"the table cannot be read: byte {problem.start} is no UTF-8.",
            where=path,
            fix='save it as "CSV UTF-8".',
        ) from problem
    except (ValueError, OSError, KeyError, pd.errors.ParserError) as problem:
        raise error(f"the table cannot be read: {problem}.", where=path) from problem
    raise error(
        f"a table must end in .csv, .parquet or .xlsx, not {path.suffix!r}.",
        where=path,
        fix="convert it.",
    )


def _numbered(table: pd.DataFrame, path: Path, dialect: dict[str, Any]) -> pd.DataFrame:
    """The table, which then knows on which lines of its file its rows stand."""
    try:
        lines = lines_of_csv(path, len(table), dialect)
    except csv.Error:
        return table
    if not lines:
        return table
    in_order = lines == list(range(lines[0], lines[0] + len(lines)))
    return note_lines(table, lines[0], None if in_order else lines)


def csv_dialect(path: str | Path) -> dict[str, Any]:
    """How a CSV table is written, as arguments of `pandas.read_csv`.

    By its first line: a separator other than the comma counts only where there is no comma.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as handle:
        start = handle.read(_START)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig" if start.startswith(b"\xef\xbb\xbf") else "utf-8"
    lines = start.decode(encoding, errors="replace").splitlines()
    first = lines[0] if lines else ""
    found: dict[str, Any] = {"encoding": encoding}
    if declared := re.fullmatch(r"sep=(.)", first.strip("\r\n ")):  # as Excel writes and reads it
        return found | {"sep": declared[1], "skiprows": 1} | _decimal(declared[1], path, encoding)
    bare = re.sub(r'"[^"]*"', "", first)
    separator = max(",;\t", key=bare.count) if "," not in bare else ","
    return found if separator == "," else found | {"sep": separator} | _decimal(
        separator, path, encoding
    )  # fmt: skip


def _decimal(separator: str, path: str | Path, encoding: str) -> dict[str, Any]:
    """The decimal comma, where cells of a table without commas between them hold one."""
    if separator == ",":
        return {}
    cells = re.compile(rf'(?:^|{separator})"?[-+]?\d+,\d+"?(?={separator}|\r?$)', re.M)
    text = Path(path).read_text(encoding=encoding, errors="replace")
    return {"decimal": ","} if cells.search(text) else {}


def _as_text(names: Iterable[Any]) -> dict[Any, str]:
    return {
        name: "str"
        for name in names
        if str(name).endswith(("_id", "_uid")) or name in _TEXT_COLUMNS
    }


def _read_workbook(path: Path, error: type[CovidlitError]) -> pd.DataFrame:
    """The only sheet of an Excel workbook with anything in it."""
    with ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > LARGEST_WORKBOOK:
            raise error("the workbook is too large.", where=path, fix="save it as CSV.")
    with pd.ExcelFile(path, engine="openpyxl") as book:
        tops = {
            name: pd.read_excel(book, sheet_name=name, nrows=1).columns for name in book.sheet_names
        }
        filled = [name for name, columns in tops.items() if len(columns)]
        if len(filled) != 1:
            raise error(
                f"the workbook holds {len(filled)} sheets with a table "
                f"({', '.join(map(str, filled)) or 'none'}), and one is needed.",
                where=path,
                fix="save the sheet that is meant as CSV, or alone.",
            )
        return pd.read_excel(
            book,
            sheet_name=filled[0],
            dtype=_as_text(tops[filled[0]]),
            keep_default_na=False,
            na_values=list(MISSING),
        )
