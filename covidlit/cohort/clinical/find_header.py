"""The header of a hospital's table, the columns that a mapping names, and merged cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.cells import as_text, is_empty
from covidlit.cohort.clinical.units import readings
from covidlit.cohort.spellings import spelling
from covidlit.counted import counted
from covidlit.errors import ManifestError, did_you_mean
from covidlit.tables import Grid, listed_rows

_SEARCHED = 40
"""Rows among which a header is looked for."""


@dataclass
class Sheet:
    """A table below its header.

    Args:
        cells: columns by position, rows from 0; None where a cell is empty.
        header: names of the columns as they are written.
        where: path, and sheet where there are several.
        units: position of a column -> its unit, where a row of units stands below the header.
        lines: of the file, of each row; None where it has none. (Not in the attrs of the cells,
            which pandas copies with every selection.)
    """

    cells: pd.DataFrame
    header: list[str]
    where: str
    units: dict[int, str] = field(default_factory=dict)
    lines: list[int] | None = None

    def row(self, place: int) -> str:
        """A row for a message, to follow "row": `3 (line 5 of the file)`."""
        return self.rows([place])

    def rows(self, places: Sequence[int]) -> str:
        """The same of several rows, by their places from 0."""
        lines = [self.lines[place] if self.lines else None for place in places]
        return listed_rows([place + 1 for place in places], lines)

    @cached_property
    def _by_spelling(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, name in enumerate(self.header):
            if name:
                found.setdefault(_spelled(name), []).append(place)
        return found

    def find(self, names: Sequence[str]) -> int | None:
        """The position of the column that has one of these names; None where there is none.

        Raises:
            ManifestError: several columns have one.
        """
        places = sorted({p for name in names for p in self._by_spelling.get(_spelled(name), ())})
        exact = [place for place in places if self.header[place] in names]
        if len(places) > 1 and len(exact) == 1:
            places = exact
        if len(places) > 1:
            raise ManifestError(
                f"columns {', '.join(repr(self.header[p]) for p in places)} "
                f"({', '.join(column_letters(p) for p in places)}) may all be meant by "
                f"{' or '.join(map(repr, names))}.",
                where=self.where,
                fix="give the columns different names, or name one of them in the mapping.",
            )
        return places[0] if places else None

    def beside(self, names: Iterable[Sequence[str]]) -> list[str]:
        """The columns with values that have none of these names."""
        known = {_spelled(each) for spellings in names for each in spellings}
        return [
            name
            for place, name in enumerate(self.header)
            if name and _spelled(name) not in known and self.cells.iloc[:, place].notna().any()
        ]

    def column(self, names: Sequence[str], key: str) -> int:
        """The position of a column that must be there.

        Raises:
            ManifestError: it is not; suggests one that is.
        """
        if (place := self.find(names)) is None:
            there = [name for name in self.header if name]
            raise ManifestError(
                f"the table has none of the columns {', '.join(map(repr, names))} ({key}).",
                where=self.where,
                fix=_meant(names, there)
                or f"add its name to the mapping; the table has: {', '.join(there[:30])}.",
            )
        return place

    def values(self, place: int) -> list[Any]:
        """The cells of a column."""
        return self.cells.iloc[:, place].tolist()


def _spelled(name: str) -> str:
    return spelling(name).replace("\n", "")


def _meant(names: Iterable[str], there: Sequence[str]) -> str | None:
    return next((hint for name in names if (hint := did_you_mean(name, there))), None)


def column_letters(place: int) -> str:
    """A column as spreadsheets call it: A for 0, AA for 26."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def below_header(
    grid: Grid,
    names: Iterable[Sequence[str]],
    header_row: int | None,
    where: str,
    fill: Iterable[Sequence[str]] = (),
    fill_all: bool = False,
) -> tuple[Sheet, list[str]]:
    """The table below its header, which is the row with most of the names.

    Args:
        grid: of the file or sheet.
        names: spellings of each column that is looked for.
        header_row: as the spreadsheet numbers it; None: it is looked for.
        where: of the file, for messages.
        fill: columns whose merged cells all hold the value of the first.
        fill_all: so do those of every column.

    Returns:
        The table, and notes on what was found.

    Raises:
        ManifestError: no row has any of the names, two rows may be the header, or cells are merged
            in a column that is used.
    """
    where = f"{where}, sheet {grid.sheet}" if grid.sheet else where
    wanted = [[_spelled(name) for name in each] for each in names]
    scores = [
        _score({_spelled(as_text(cell)) for cell in row if not is_empty(cell)}, wanted)
        for row in grid.rows[:_SEARCHED]
    ]
    notes = []
    if header_row is not None:
        if header_row not in grid.lines:
            raise ManifestError(
                f"there is no row {header_row}.", where=where, fix="correct header_row."
            )
        top = grid.lines.index(header_row)
    else:
        best = max(scores, default=0)
        if best == 0:
            shown = [as_text(cell) for row in grid.rows[:1] for cell in row if not is_empty(cell)]
            first = [name for each in names for name in each]
            raise ManifestError(
                f"no row has any of the column names of the mapping; the first row holds: "
                f"{', '.join(shown[:20]) or 'nothing'}.",
                where=where,
                fix=_meant(first, shown) or "correct the names in the mapping, or choose another.",
            )
        rows = [k for k, score in enumerate(scores) if score == best]
        if len(rows) > 1:
            raise ManifestError(
                f"rows {', '.join(str(grid.lines[k]) for k in rows)} may all be the header.",
                where=where,
                fix=f"remove the others, or set header_row: {grid.lines[rows[0]]} in the mapping.",
            )
        top = rows[0]
        above = [k for k in range(top) if any(not is_empty(cell) for cell in grid.rows[k])]
        if above:
            text = next(as_text(c) for c in grid.rows[above[0]] if not is_empty(c))
            notes.append(
                f"The header is row {grid.lines[top]}, below {counted(len(above), 'line')}, such "
                f"as {text[:60]!r}."
            )
    header = ["" if is_empty(cell) else " ".join(as_text(cell).split()) for cell in grid.rows[top]]
    kept = [k for k in range(top + 1, len(grid.rows)) if any(c is not None for c in grid.rows[k])]
    body = [list(grid.rows[k]) for k in kept]
    sheet = Sheet(pd.DataFrame(index=range(0)), header, where)
    if kept and (units := _units(body[0], grid.has_lines)):
        sheet.units = units
        notes.append(
            f"Row {grid.lines[kept[0]]} holds units ({', '.join(list(units.values())[:5])}) and is "
            "no patient's."
        )
        del kept[0], body[0]
    used = {p for each in names if (p := sheet.find(list(each))) is not None}
    filled = used if fill_all else {p for each in fill if (p := sheet.find(list(each))) is not None}
    _merged(grid, kept, body, used, filled, top, sheet)
    cells = pd.DataFrame(body, dtype=object, columns=range(len(header)))
    cells = cells.astype(object).where(cells.notna(), None)
    sheet.cells = cells
    sheet.lines = [grid.lines[k] for k in kept] if grid.has_lines else None
    return sheet, notes


def _units(row: Sequence[Any], may_be: bool) -> dict[int, str]:
    """The units in the first row below the header, if that is what it holds and nothing else."""
    texts = {k: as_text(cell) for k, cell in enumerate(row) if not is_empty(cell)}
    bare = {k: text.strip("()[]") for k, text in texts.items() if not text.isdigit()}
    units = {k: text for k, text in bare.items() if readings(text)}
    numeric = any(
        isinstance(row[k], int | float) or (text[:1].isdigit() and k not in units)
        for k, text in texts.items()
    )
    if not may_be or numeric or len(units) < 2 or 2 * len(units) < len(texts):
        return {}
    return units


def _score(there: set[str], wanted: Sequence[Sequence[str]]) -> int:
    return sum(any(name in there for name in each) for each in wanted)


def _merged(
    grid: Grid,
    kept: Sequence[int],
    body: list[list[Any]],
    used: set[int],
    filled: set[int],
    top: int,
    sheet: Sheet,
) -> None:
    """Fill merged cells where that is meant; refuse them in other columns that are used."""
    places = {row: k for k, row in enumerate(kept)}
    for merged in grid.merged:
        columns = set(range(merged.first_column, merged.last_column + 1)) & used
        if not columns or merged.last_row < top:
            continue
        if merged.first_row <= top:
            if (
                merged.first_row == merged.last_row == top
                and len(columns) == 1
                and (merged.first_column in columns)
            ):
                continue  # a header over empty columns
            if merged.first_column == merged.last_column and merged.last_row == top:
                continue
        elif columns <= filled:
            value = (
                body[places[merged.first_row]][merged.first_column]
                if (merged.first_row in places)
                else None
            )
            for row in range(merged.first_row, merged.last_row + 1):
                for column in columns if row in places else ():
                    body[places[row]][column] = value
            continue
        named = ", ".join(repr(sheet.header[c] or column_letters(c)) for c in sorted(columns))
        cell = grid.rows[merged.first_row][merged.first_column]
        raise ManifestError(
            f"rows {grid.lines[merged.first_row]} to {grid.lines[merged.last_row]}, column {named}"
            f": the cells {merged.name} are merged (value {as_text(cell)!r}), and a spreadsheet "
            "keeps a value in the first of them alone.",
            where=sheet.where,
            fix="unmerge them and fill in what each row holds, or say that all hold it: "
            "merged_cells: fill in the mapping (of patients: fill_down: true).",
        )
