"""What a source says of each patient: dates, demographics, history, severity, outcome."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.cells import as_text, is_blank
from covidlit.cohort.clinical.days import as_days
from covidlit.cohort.clinical.find_header import Sheet
from covidlit.cohort.clinical.histories import read_histories
from covidlit.cohort.clinical.mapping import ClinicalMapping, Column, DateColumn, PatientColumn
from covidlit.cohort.clinical.meanings import meaning_of, number_of
from covidlit.cohort.clinical.people import People, cells_of
from covidlit.cohort.clinical.problems import Problems, unique_or_problem

STATIC = (
    "centre", "age", "sex", "smoker", "epidemiology", "severity_at_admission", "progressed",
    "outcome", "event_time_days",
)  # fmt: skip
"""Columns with one value for each patient."""

DATES = ("index_date", "outcome_date", "progressed_date")
"""Columns of dates, likewise."""

_OLDER = 2.0
"""Years by which ages of one patient may differ: of dates, and of rounding."""


def patients_of(sheet: Sheet, column: PatientColumn, problems: Problems) -> list[str]:
    """Who each row is about; an empty patient is a problem, unless the one above is meant."""
    if column.rows or column.column is None:
        return [f"{column.prefix}{row + 1}" for row in range(len(sheet.cells))]
    place = sheet.column(column.column, "patient")
    names: list[str] = []
    cells = sheet.values(place)
    written = [as_text(cell) for cell in cells if not is_blank(cell)]
    # 7.0 is a number that a table of numbers with gaps made of 7.
    whole = all(re.fullmatch(r"\d+(?:\.0)?", text) for text in written)
    for row, cell in enumerate(cells):
        if not is_blank(cell):
            text = as_text(cell)
            names.append(column.prefix + (text.removesuffix(".0") if whole else text))
        elif column.fill_down and names:
            names.append(names[-1])
        else:
            names.append("")
            problems.of_cell(
                sheet, row, place, "must say who the row is about",
                "complete the column, or remove the row; where only a patient's first row has it: "
                "patient.fill_down: true in the mapping",
            )  # fmt: skip
    return names


def days_of(
    sheet: Sheet,
    column: DateColumn,
    mapping: ClinicalMapping,
    key: str,
    problems: Problems,
    notes: list[str],
) -> pd.Series | None:
    """The moments of a column of dates; None where the table lacks it.

    What is no date, and a column whose order of day and month cannot be told, is a problem.
    """  # fmt: skip
    place = 0 if column.column is None else sheet.find(column.column)
    if place is None:
        return None
    cells = sheet.values(place)
    if column.column is None:
        cells = [0] * len(cells)
    found = as_days(cells, column, mapping.date_order)
    if found.unclear and (order := _order_of_others(sheet, mapping)):
        found = as_days(cells, column, order)
    if found.problem is not None:
        what, rows = found.problem
        shown = " and ".join(f"{as_text(cells[r])!r} in row {sheet.row(r)}" for r in rows)
        problems.of_column(
            sheet,
            place,
            f"{what} ({shown})",
            "write all dates as YYYY-MM-DD, or say which comes first: "
            f"{key}: {{column: ..., order: dmy}} (or mdy) in the mapping",
        )
        return found.values
    for row, what in found.wrong.items():
        problems.of_cell(sheet, row, place, what, "write the date as YYYY-MM-DD, or empty the cell")
    if found.note:
        notes.append(f"{sheet.where}: dates of column {sheet.header[place]!r} are read with the "
                     f"{found.note}.")  # fmt: skip
    return found.values


def _order_of_others(sheet: Sheet, mapping: ClinicalMapping) -> str:
    """The order of day and month that other columns of dates show, where they agree."""
    shown = set()
    for column in (mapping.date, *(getattr(mapping, key) for key in DATES)):
        if column is None or column.column is None or column.origin is not None:
            continue
        if (place := sheet.find(column.column)) is not None:
            found = as_days(sheet.values(place), column, mapping.date_order)
            shown |= {found.order} if found.order else set()
    return shown.pop() if len(shown) == 1 else ""


def read_people(
    sheet: Sheet, mapping: ClinicalMapping, patients: list[str], problems: Problems, into: People
) -> None:
    """Add what a table says of its patients; what is known already stays."""
    for key in DATES:
        column: DateColumn | None = getattr(mapping, key)
        if column is None or key in into.dates:
            continue
        found = days_of(sheet, column, mapping, key, problems, into.notes)
        if found is None:
            continue
        place = 0 if column.column is None else sheet.find(column.column)
        values = [None if pd.isna(day) else day for day in found]
        into.dates[key] = unique_or_problem(sheet, patients, values, place or 0, problems)
    for name in STATIC:
        own: Column | None = getattr(mapping, name)
        if own is not None and name not in into.of_patient:
            numeric = name in ("age", "event_time_days")
            read = number_of(name, own) if numeric else meaning_of(name, own)
            _one_value(sheet, patients, name, own, read, problems, into)
    for name, own in mapping.groups.items():
        if name not in into.of_patient:
            _one_value(sheet, patients, name, own, meaning_of(name, own), problems, into)
    if mapping.severity is not None and "severity" not in into.of_row:
        place = sheet.find(mapping.severity.column)
        if place is not None:
            read = meaning_of("severity", mapping.severity)
            values = cells_of(sheet, place, read, problems, "severity")
            if len(values) == len(into.patients) and patients is into.patients:
                into.of_row["severity"] = values
            else:
                into.of_patient["severity"] = unique_or_problem(
                    sheet, patients, values, place, problems
                )
    read_histories(sheet, mapping, patients, problems, into)


def _one_value(
    sheet: Sheet,
    patients: list[str],
    name: str,
    column: Column,
    read: Callable[[Any], Any],
    problems: Problems,
    into: People,
) -> None:
    place = sheet.find(column.column)
    if place is None:
        return
    values = cells_of(sheet, place, read, problems, name)
    older = _OLDER if name == "age" else None
    into.of_patient[name] = unique_or_problem(sheet, patients, values, place, problems, older)
