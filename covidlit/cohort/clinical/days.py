"""Dates as hospitals write them: which of day, month and year comes first is found, or refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from covidlit.cohort.clinical.cells import is_empty
from covidlit.cohort.clinical.mapping import DateColumn

_TIME = (
    r"(?:[T ,]\s*(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<ap>[ap]\.?m\.?)?\s*(?:z|[+-]\d\d:?\d\d|uhr|h)?)?"
)
_YEAR_FIRST = re.compile(
    rf"(?P<a>\d{{4}})[-/.年](?P<b>\d{{1,2}})[-/.月](?P<c>\d{{1,2}})日?{_TIME}", re.I
)
_COMPACT = re.compile(rf"(?P<a>(?:1[6-9]|2[0-2])\d{{2}})(?P<b>\d{{2}})(?P<c>\d{{2}}){_TIME}", re.I)
_YEAR_LAST = re.compile(
    rf"(?P<a>\d{{1,2}})[-/.](?P<b>\d{{1,2}})[-/.](?P<c>\d{{4}}|\d{{2}}){_TIME}", re.I
)
_NAMED = re.compile(
    rf"(?:(?P<a>\d{{1,2}})\.?[-\s]*(?P<n>[a-zéûôä]{{3,9}})\.?|(?P<n2>[a-zéûôä]{{3,9}})\.?\s*(?P<a2>\d{{1,2}}))[-,\s]+(?P<c>\d{{4}}|\d{{2}}){_TIME}",
    re.I,
)
_MONTHS = (
    "jan janv january januar janvier ene enero gen gennaio",
    "feb fev fév fevr févr february februar février febrero febbraio",
    "mar mär mrz märz maerz march mars marzo",
    "apr avr abr april avril abril aprile",
    "may mai mayo mag maggio mei",
    "jun june juni juin junio giu giugno",
    "jul july juli juil juillet julio lug luglio",
    "aug août aout ago august agosto",
    "sep sept set september septembre septiembre settembre",
    "oct okt ott october oktober octobre octubre ottobre",
    "nov november novembre noviembre",
    "dec dez déc dic december dezember décembre diciembre dicembre",
)
_MONTH = {name: k + 1 for k, names in enumerate(_MONTHS) for name in names.split()}
_SERIAL = (20000, 80000)
"""Excel's number of a day of the years 1954 to 2119."""


@dataclass
class Days:
    """A column of dates.

    Args:
        values: datetime64[ns] with the time of day; NaT where there is none.
        wrong: place in the column -> what is wrong with the cell.
        problem: what is wrong with the column as a whole, with the places that show it.
        unclear: nothing in it tells whether day or month comes first.
        order: of the texts whose year does not stand first; empty where there is none.
    """

    values: pd.Series
    wrong: dict[int, str] = field(default_factory=dict)
    problem: tuple[str, tuple[int, ...]] | None = None
    unclear: bool = False
    order: str = ""

    @property
    def note(self) -> str:
        """How the texts were read, for people."""
        return {"dmy": "day first", "mdy": "month first", "ymd": "year first"}.get(self.order, "")


def as_days(cells: Sequence[Any], column: DateColumn, order: str) -> Days:
    """The dates of a column.

    Args:
        cells: as they stand in the table.
        column: `origin` makes numbers of days or hours into dates.
        order: ymd, dmy, mdy, or auto: what the column's own texts show.
    """
    order = column.order or order
    if column.origin is not None:
        return _from_origin(cells, column)
    parts: list[tuple[str, tuple[int, int, int, int]] | None] = [None] * len(cells)
    moments: list[datetime | None] = [None] * len(cells)
    found = Days(pd.Series(pd.NaT, index=range(len(cells)), dtype="datetime64[ns]"))
    for k, cell in enumerate(cells):
        if is_empty(cell):
            continue
        if isinstance(cell, datetime):
            moments[k] = cell.replace(tzinfo=None)
        elif isinstance(cell, date):
            moments[k] = datetime(cell.year, cell.month, cell.day)
        else:
            parsed = _parts(cell)
            if isinstance(parsed, str):
                found.wrong[k] = parsed
            else:
                parts[k] = parsed
    texts = {k: each for k, each in enumerate(parts) if each is not None}
    found.problem, order = _order_of(texts, [k for k, m in enumerate(moments) if m], order, moments)
    if found.problem:
        found.unclear = "cannot be told" in found.problem[0]
        return found
    for k, (kind, (a, b, c, seconds)) in texts.items():
        year, month, day = (a, b, c) if kind in ("ymd", "named") else _placed(a, b, c, order)
        try:
            day_of = datetime(_full_year(year), month, day)
        except ValueError:
            found.wrong[k] = "is no day of the calendar"
            continue
        moments[k] = day_of + pd.Timedelta(seconds=seconds).to_pytimedelta()
    for k, moment in enumerate(moments):
        if moment is not None and not 1678 <= moment.year <= 2261:
            found.wrong[k] = "is of a year that cannot be"
            moments[k] = None
    found.values = pd.Series(
        pd.to_datetime(pd.Series(moments, dtype=object)), dtype="datetime64[ns]"
    )
    if any(kind == "other" for kind, _ in texts.values()):
        found.order = order
    return found


def _from_origin(cells: Sequence[Any], column: DateColumn) -> Days:
    wrong: dict[int, str] = {}
    offsets = np.full(len(cells), np.nan)
    for k, cell in enumerate(cells):
        if is_empty(cell):
            continue
        try:
            offsets[k] = float(str(cell).replace(",", ".")) if not isinstance(cell, bool) else 1 / 0
        except (ValueError, ZeroDivisionError):
            wrong[k] = f"is no number of {column.unit} after {column.origin}"
    if column.column is None:
        offsets[:] = 0
    steps = pd.to_timedelta(pd.Series(offsets), unit=column.unit)
    values = (pd.Timestamp(str(column.origin)) + steps).astype("datetime64[ns]")
    return Days(values, wrong)


def _parts(cell: Any) -> tuple[str, tuple[int, int, int, int]] | str:
    """The three numbers of a date and the seconds of its day, with how it is written."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, str) and re.fullmatch(r"\d{5}(?:\.\d+)?", cell.strip()):
        cell = float(cell)  # a spreadsheet's number of a day that went through CSV
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        if _SERIAL[0] <= cell <= _SERIAL[1]:
            day = pd.Timestamp(1899, 12, 30) + pd.Timedelta(days=int(cell))
            seconds = round((cell - int(cell)) * 86400)
            return "ymd", (day.year, day.month, day.day, seconds)
        cell = str(cell)
    text = " ".join(unicodedata.normalize("NFKC", str(cell)).split())
    for kind, pattern in (("ymd", _YEAR_FIRST), ("ymd", _COMPACT), ("other", _YEAR_LAST)):
        if match := pattern.fullmatch(text):
            time = _seconds(match)
            if time is None:
                return "has a time of day that cannot be"
            return kind, (int(match["a"]), int(match["b"]), int(match["c"]), time)
    if match := _NAMED.fullmatch(text):
        month = _MONTH.get((match["n"] or match["n2"]).casefold())
        time = _seconds(match)
        if month and time is not None:
            return "named", (int(match["c"]), month, int(match["a"] or match["a2"]), time)
    return "is no date (write YYYY-MM-DD)"


def _seconds(match: re.Match[str]) -> int | None:
    if match["h"] is None:
        return 0
    hour, minute, second = int(match["h"]), int(match["m"]), int(match["s"] or 0)
    if match["ap"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["ap"][0].lower() == "p" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return 3600 * hour + 60 * minute + second


def _order_of(
    texts: dict[int, tuple[str, tuple[int, int, int, int]]],
    real: list[int],
    order: str,
    moments: Sequence[datetime | None],
) -> tuple[tuple[str, tuple[int, ...]] | None, str]:
    """The order of the texts whose year does not stand first, and what speaks against any."""
    other = {k: numbers for k, (kind, numbers) in texts.items() if kind == "other"}
    first = [k for k, (kind, _) in texts.items() if kind != "other"]
    if not other:
        return None, order
    day_first = [k for k, (a, b, _, _) in other.items() if a > 12 >= b]
    month_first = [k for k, (a, b, _, _) in other.items() if b > 12 >= a]
    if day_first and month_first:
        what = "holds dates in two orders: one can only be day first, another only month first"
        return (what, (day_first[0], month_first[0])), order
    low = all(day is not None and day.day <= 12 for day in (moments[k] for k in real))
    turned = low and len(other) <= len(day_first) + len(month_first)
    if real and (order == "auto" or turned):
        what = (
            "holds dates and texts: a spreadsheet may have taken days up to 12 for months, and "
            "left the others as text"
        )
        return (what, (real[0], next(iter(other)))), order
    if order != "auto":
        against = {"dmy": month_first, "mdy": day_first}.get(order, [])
        if against:
            what = f"holds dates that cannot be read as {order}"
            return (what, (against[0],)), order
        return None, order
    if first:
        what = "holds dates in two orders: one with the year first, another with it last"
        return (what, (first[0], next(iter(other)))), order
    if not day_first and not month_first:
        what = "holds dates of which it cannot be told whether day or month comes first"
        return (what, (next(iter(other)),)), order
    return None, "dmy" if day_first else "mdy"


def _placed(a: int, b: int, c: int, order: str) -> tuple[int, int, int]:
    return {"dmy": (c, b, a), "mdy": (c, a, b), "ymd": (a, b, c)}[order]


def _full_year(year: int) -> int:
    """A year of two digits as the last such year that is not to come."""
    if year >= 100:
        return year
    return 2000 + year if 2000 + year <= datetime.now().year else 1900 + year
