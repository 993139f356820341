"""What a source says of each patient: dates, demographics, history, severity, outcome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.cells import as_text, is_blank
from covidlit.cohort.clinical.days import as_days
from covidlit.cohort.clinical.find_header import Sheet, column_letters
from covidlit.cohort.clinical.mapping import (
    ClinicalMapping,
    Column,
    DateColumn,
    Flags,
    PatientColumn,
)
from covidlit.cohort.clinical.meanings import (
    Unknown,
    flag_of,
    has_any,
    listed,
    meaning_of,
    number_of,
)
from covidlit.cohort.clinical.problems import Problems, unique_or_problem

STATIC = (
    "centre", "age", "sex", "smoker", "epidemiology", "severity_at_admission", "progressed",
    "outcome", "event_time_days",
)  # fmt: skip
"""Columns with one value for each patient."""

_OLDER = 2.0
"""Years by which ages of one patient may differ: of dates, and of rounding."""


@dataclass
class People:
    """What is known of each row of the first table, and of each patient.

    Args:
        patients: of each row.
        of_patient: column -> patient -> value.
        of_row: column -> value of each row, for what changes.
        dates: index and outcome -> patient -> moment.
        absent: columns of the mapping that the table lacks.
        changed: column -> rule -> number of cells.
        notes: sentences.
    """

    patients: list[str]
    of_patient: dict[str, dict[str, Any]] = field(default_factory=dict)
    of_row: dict[str, list[Any]] = field(default_factory=dict)
    dates: dict[str, dict[str, pd.Timestamp]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    changed: dict[str, Counter[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
        shown = " and ".join(f"{as_text(cells[r])!r} in row {sheet.texts[r]}" for r in rows)
        problems.of(
            sheet.where,
            f"column {sheet.header[place]!r} ({column_letters(place)}) {what} ({shown})",
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
    for column in (mapping.date, mapping.index_date, mapping.outcome_date):
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
    for key in ("index_date", "outcome_date"):
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
    if mapping.comorbidities is not None:
        _comorbidities(sheet, patients, mapping.comorbidities, problems, into)
    if mapping.severity is not None and "severity" not in into.of_row:
        place = sheet.find(mapping.severity.column)
        if place is not None:
            read = meaning_of("severity", mapping.severity)
            values = _cells(sheet, place, read, problems, "severity")
            if len(values) == len(into.patients) and patients is into.patients:
                into.of_row["severity"] = values
            else:
                into.of_patient["severity"] = unique_or_problem(
                    sheet, patients, values, place, problems
                )
    if mapping.symptoms is not None:
        _symptoms(sheet, patients, mapping.symptoms, problems, into)


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
    values = _cells(sheet, place, read, problems, name)
    older = _OLDER if name == "age" else None
    into.of_patient[name] = unique_or_problem(sheet, patients, values, place, problems, older)


def _cells(
    sheet: Sheet, place: int, read: Callable[[Any], Any], problems: Problems, name: str
) -> list[Any]:
    values: list[Any] = []
    for row, cell in enumerate(sheet.values(place)):
        try:
            values.append(read(cell))
        except Unknown as problem:
            values.append(None)
            problems.of_cell(
                sheet, row, place, f"{problem}",
                f"correct the cell, or add what it means to {name}.map in the mapping (null: "
                "missing)",
            )  # fmt: skip
    return values


def _comorbidities(
    sheet: Sheet, patients: list[str], flags: Flags, problems: Problems, into: People
) -> None:
    """The number of a patient's other diseases, and a flag for each that is named."""
    if flags.count is not None and (place := sheet.find(flags.count)) is not None:
        column = Column(column=flags.count)
        values = _cells(sheet, place, number_of("comorbidity_count", column), problems,
                        "comorbidities")  # fmt: skip
        into.of_patient["comorbidity_count"] = unique_or_problem(
            sheet, patients, values, place, problems
        )
    named, lists = _flags(sheet, patients, flags, problems, "comorbidities")
    if "comorbidity_count" not in into.of_patient and (named or lists is not None):
        counted: dict[str, int] = {}
        for patient in dict.fromkeys(patients):
            known = [value[patient] for value in named.values() if patient in value]
            things = (lists or {}).get(patient)
            if things is not None:
                counted[patient] = len(things)
            elif known:
                counted[patient] = sum(known)
        into.of_patient["comorbidity_count"] = counted
    for name, values_of in named.items():
        into.of_patient.setdefault(f"comorbidity_{name}", values_of)


def _symptoms(
    sheet: Sheet, patients: list[str], flags: Flags, problems: Problems, into: People
) -> None:
    named, _ = _flags(sheet, patients, flags, problems, "symptoms", by_row=True)
    for name, values in named.items():
        if patients is into.patients:
            into.of_row.setdefault(f"symptom_{name}", values)
        else:
            into.of_patient.setdefault(f"symptom_{name}", values)


def _flags(
    sheet: Sheet,
    patients: list[str],
    flags: Flags,
    problems: Problems,
    key: str,
    by_row: bool = False,
) -> tuple[dict[str, Any], dict[str, list[str]] | None]:
    """Flags by name (of rows, or of patients: any row), and the listed things of each patient."""
    read, rows = flag_of(flags.map), by_row
    found: dict[str, list[Any]] = {}
    for name, names in flags.flags.items():
        if (place := sheet.find(names)) is not None:
            found[name] = _cells(sheet, place, read, problems, key)
    lists: dict[str, list[str]] | None = None
    if flags.listed is not None and (place := sheet.find(flags.listed.column)) is not None:
        things = [listed(cell, flags.listed) for cell in sheet.values(place)]
        lists = {}
        for patient, each in zip(patients, things, strict=True):
            if each is not None:
                known = lists.setdefault(patient, [])
                known += [thing for thing in each if thing not in known]
        for name, names in flags.listed.known.items():
            found[name] = [None if t is None else has_any(t, names) for t in things]
    if rows:
        return found, lists
    return {name: _any(patients, values) for name, values in found.items()}, lists


def _any(patients: list[str], values: list[Any]) -> dict[str, bool]:
    """Whether any row of a patient says yes; patients without an answer are left out."""
    said: dict[str, bool] = {}
    for patient, value in zip(patients, values, strict=True):
        if value is not None:
            said[patient] = said.get(patient, False) or bool(value)
    return said
