"""Which row of a table a message is about, and on which line of its file that stands."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

_FIRST_LINE, _LINES = "covidlit.first_line", "covidlit.lines"
"""Of `DataFrame.attrs`: the line of row 1, or the lines of all rows, of the file that was read."""


def row_numbers(table: pd.DataFrame) -> list[int]:
    """The row numbers that messages use: from 1, without the header, of the table as it was read.

    A selection of rows keeps the numbers of the table that it was taken from.
    """
    if pd.api.types.is_integer_dtype(table.index):
        return [int(label) + 1 for label in table.index]
    return list(range(1, len(table) + 1))


def row_lines(table: pd.DataFrame) -> list[int | None]:
    """The line of the file that each row stands on, as an editor or a spreadsheet counts them.

    None for a table that was not read from a file with lines.
    """
    numbers, lines = row_numbers(table), table.attrs.get(_LINES)
    if lines is not None:
        return [lines[number - 1] if 0 < number <= len(lines) else None for number in numbers]
    first = table.attrs.get(_FIRST_LINE)
    return [None if first is None else number - 1 + first for number in numbers]


def row_texts(table: pd.DataFrame) -> list[str]:
    """Each row for a message, to follow "row": "10 (line 11 of the file)", "10" without a file."""
    return [
        str(number) if line is None else f"{number} (line {line} of the file)"
        for number, line in zip(row_numbers(table), row_lines(table), strict=True)
    ]


def rows_text(table: pd.DataFrame, limit: int = 5, *, in_brackets: bool = False) -> str:
    """Rows for a message, to follow "row" or "rows": "3, 5 (lines 4, 6 of the file) and 2 more".

    Args:
        table: the rows.
        limit: how many are named.
        in_brackets: the text itself is put into brackets: "3, 5 and 2 more; lines 4, 6".
    """
    numbers, lines = row_numbers(table), row_lines(table)
    if not in_brackets:
        return listed_rows(numbers, lines, limit)
    text = listed_rows(numbers, [None] * len(numbers), limit)
    known = [str(line) for line in lines[:limit] if line is not None]
    word = "line" if len(known) == 1 else "lines"
    return f"{text}; {word} {', '.join(known)} of the file" if known else text


def listed_rows(numbers: Sequence[int], lines: Sequence[int | None], limit: int = 5) -> str:
    """The same of numbers, and the lines of each."""
    more = f" and {len(numbers) - limit} more" if len(numbers) > limit else ""
    text = ", ".join(map(str, numbers[:limit]))
    known = [str(line) for line in lines[:limit] if line is not None]
    if not known or len(known) < len(numbers[:limit]):
        return text + more
    word = "line" if len(known) == 1 else "lines"
    return f"{text} ({word} {', '.join(known)} of the file){more}"


def note_lines(table: pd.DataFrame, first: int, lines: Sequence[int] | None = None) -> pd.DataFrame:
    """The table, which then knows on which lines of its file its rows stand.

    Args:
        table: as it was read, its rows labelled from 0.
        first: line of the first row.
        lines: of each row, where they do not follow each other.
    """
    table.attrs |= {_FIRST_LINE: first} if lines is None else {_LINES: list(lines)}
    return table


def without_lines(table: pd.DataFrame) -> pd.DataFrame:
    """The same table, of no file."""
    if not table.attrs.keys() & {_FIRST_LINE, _LINES}:
        return table
    table = table.copy(deep=False)
    table.attrs = {
        name: value for name, value in table.attrs.items() if name not in (_FIRST_LINE, _LINES)
    }
    return table


def lines_of_csv(path: Path, n_rows: int, dialect: dict[str, Any]) -> list[int] | None:
    """The line of each row of a CSV table: empty lines and breaks inside of cells count too.

    None where they cannot be told.

    Args:
        path: of the table.
        n_rows: how many rows were read from it.
        dialect: of `covidlit.tables.reading.csv_dialect`.
    """
    with path.open(encoding=dialect["encoding"], newline="") as file:
        reader = csv.reader(file, delimiter=dialect.get("sep", ","))
        starts, start = [], 1
        for record in reader:
            if len(record) > 1 or (record and record[0].strip()):
                starts.append(start)
            start = reader.line_num + 1
    lines = starts[1 + dialect.get("skiprows", 0) :]
    return lines if len(lines) == n_rows else None
