"""The cells of a table as a hospital wrote it, with what stands above its header."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd

from covidlit.errors import CovidlitError, did_you_mean
from covidlit.tables.damaged import telling_damage
from covidlit.tables.guard import without_guard
from covidlit.tables.reading import LARGEST_WORKBOOK, csv_dialect

_LOOKED_AT = 50


@dataclass(frozen=True)
class Merged:
    """A merged range of a spreadsheet: its first and last row and column, counted from 0."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int
    name: str


@dataclass(frozen=True)
class Grid:
    """Cells of a sheet or file, before any row is taken for the header.

    Args:
        rows: of cells; None where one is empty. All rows have the same length.
        lines: on which line of the file, or row of the sheet, each row stands.
        merged: ranges of merged cells.
        sheet: its name, in a workbook.
        has_lines: the file has lines that people count, as Parquet has not.
    """

    rows: list[list[Any]]
    lines: list[int]
    merged: list[Merged] = field(default_factory=list)
    sheet: str | None = None
    has_lines: bool = True


def read_grid(
    path: str | Path,
    error: type[CovidlitError] = CovidlitError,
    *,
    sheet: str | int | None = None,
    encoding: str | None = None,
) -> Grid:
    """Read the cells of a `.csv` (also `.tsv`, `.txt`), `.xlsx` or `.parquet` file as they are.

    Args:
        path: of the file.
        error: type of what is raised.
        sheet: of a workbook, by name or by number from 1; None: the only one that is not empty.
        encoding: of a CSV file; None: UTF-8, or UTF-16 where it says so.

    Raises:
        CovidlitError: (of the type `error`) missing, unreadable or of another format, no such
            sheet, or several sheets of which none was chosen.
    """
    path = Path(path)
    if not path.is_file():
        raise error("there is no such file.", where=path, fix="check the path.")
    ending = path.suffix.lower()
    try:
        if ending in (".xlsx", ".xlsm"):
            with telling_damage(path, error):
                return _of_workbook(path, error, sheet)
        if ending == ".parquet":
            with telling_damage(path, error):
                table = pd.read_parquet(path)
            cells = table.astype(object).where(table.notna(), None).to_numpy(dtype=object)
            rows = [list(map(str, table.columns)), *cells.tolist()]
            return Grid(rows, list(range(1, len(rows) + 1)), has_lines=False)
        if ending in (".csv", ".tsv", ".txt"):
            return _of_csv(path, encoding)
    except UnicodeDecodeError as problem:
        raise error(
            f"the table cannot be read: byte {problem.start} is no {problem.encoding}.",
            where=path,
            fix='save it as "CSV UTF-8", or name its encoding (such as encoding: gb18030 or '
            "encoding: cp1252 in the mapping).",
        ) from problem
    except LookupError as problem:
        if isinstance(problem, KeyError):
            raise error(f"the table cannot be read: {problem}.", where=path) from problem
        raise error(f"{problem}.", where=path, fix="use utf-8, cp1252 or gb18030.") from problem
    except (ValueError, OSError, csv.Error) as problem:
        raise error(f"the table cannot be read: {problem}.", where=path) from problem
    raise error(
        f"a table must end in .csv, .xlsx or .parquet, not {path.suffix!r}.",
        where=path,
        fix="convert it (an .xls file: save it as .xlsx).",
    )


def _of_workbook(path: Path, error: type[CovidlitError], sheet: str | int | None) -> Grid:
    from openpyxl import load_workbook

    with ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > LARGEST_WORKBOOK:
            raise error("the workbook is too large.", where=path, fix="save it as CSV.")
    # Read-only, which is twice as fast; merged ranges are not kept so, hence read beside it.
    book = load_workbook(path, data_only=True, read_only=True)
    try:
        sheets = {own.title: own for own in book.worksheets}
        for own in sheets.values():
            own.reset_dimensions()  # what the file says of them is often wrong
        name = _chosen(path, error, sheet, sheets)
        rows = [list(row) for row in sheets[name].iter_rows(values_only=True)]
        place = sheets[name]._worksheet_path
    finally:
        book.close()
    width = max(map(len, rows), default=0)
    rows = [row + [None] * (width - len(row)) for row in rows]
    return Grid(rows, list(range(1, len(rows) + 1)), _merged_ranges(path, place), name)


def _chosen(
    path: Path, error: type[CovidlitError], sheet: str | int | None, sheets: dict[str, Any]
) -> str:
    """The name of the sheet that is meant."""
    if isinstance(sheet, int) and 0 < sheet <= len(sheets):
        return list(sheets)[sheet - 1]
    if sheet is not None and str(sheet) in sheets:
        return str(sheet)
    if sheet is not None:
        raise error(
            f"the workbook has no sheet {sheet!r}.",
            where=path,
            fix=did_you_mean(str(sheet), sheets) or f"its sheets: {', '.join(sheets)}.",
        )
    filled = [name for name, own in sheets.items() if _is_filled(own)]
    if len(filled) != 1:
        raise error(
            f"the workbook holds {len(filled)} sheets with a table "
            f"({', '.join(filled) or 'none'}), and one is needed.",
            where=path,
            fix="name the one that is meant in the mapping, as sheet: NAME.",
        )
    return filled[0]


def _is_filled(sheet: Any) -> bool:
    rows = sheet.iter_rows(values_only=True)
    return any(cell is not None for row in islice(rows, _LOOKED_AT) for cell in row)


def _merged_ranges(path: Path, part: str) -> list[Merged]:
    """The merged ranges of a sheet, by the part of the file that it is."""
    from openpyxl.utils.cell import range_boundaries

    with ZipFile(path) as parts:
        content = parts.read(part.lstrip("/"))
    names = re.findall(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z0-9:]+)"', content)
    found = []
    for name in map(bytes.decode, names):
        left, top, right, bottom = range_boundaries(name)
        found.append(Merged(top - 1, bottom - 1, left - 1, right - 1, name))
    return sorted(found, key=_place)


def _place(merged: Merged) -> tuple[int, int]:
    return merged.first_row, merged.first_column


def _of_csv(path: Path, encoding: str | None) -> Grid:
    dialect = csv_dialect(path)
    text = path.read_bytes().decode(encoding or dialect["encoding"])
    lines = text.splitlines(keepends=True)
    skipped = int(dialect.get("skiprows", 0))
    separator = dialect["sep"] if skipped else _separator(text)
    reader = csv.reader(io.StringIO("".join(lines[skipped:]), newline=""), delimiter=separator)
    rows, starts, start = [], [], 1 + skipped
    for record in reader:
        if record:
            rows.append([without_guard(cell) if cell.strip() else None for cell in record])
            starts.append(start)
        start = reader.line_num + 1 + skipped
    width = max(map(len, rows), default=0)
    full = all(len(row) == width for row in rows[:-1])
    if len(rows) > 2 and full and len(rows[-1]) < width and not text.endswith(("\n", "\r")):
        # Spreadsheets leave empty cells out at ends of rows, but in no last row alone.
        raise ValueError(
            f"its last line, {starts[-1]}, ends after {len(rows[-1])} of {width} cells, as a file "
            "does that was cut off; export it again, or complete that line"
        )
    rows = [row + [None] * (width - len(row)) for row in rows]
    return Grid(rows, starts)


def _separator(text: str) -> str:
    """What cuts most of the first lines into the same number of cells, more than one.

    Titles above a header have no separator, and decimal commas no steady number of them.
    """
    best, most = ",", 0.0
    for candidate in (",", ";", "\t", "|"):
        counts = [
            len(record)
            for record, _ in zip(
                csv.reader(io.StringIO(text, newline=""), delimiter=candidate),
                range(_LOOKED_AT),
                strict=False,
            )
        ]
        wide = [count for count in counts if count > 1]
        if not wide:
            continue
        usual = max(set(wide), key=lambda n: (wide.count(n), n))
        score = wide.count(usual) + usual / 1000
        if score > most:
            best, most = candidate, score
    return best
