"""The numbers of a source, in the units of contract 9, from wide and from long tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from covidlit.cohort.clinical.cells import Cells, as_numbers, as_text, is_empty
from covidlit.cohort.clinical.find_header import Sheet
from covidlit.cohort.clinical.mapping import ClinicalMapping, Further, Lab
from covidlit.cohort.clinical.plausible import Limits, alone_looks_like, limits_of, looks_like
from covidlit.cohort.clinical.problems import Problems
from covidlit.cohort.clinical.read_people import days_of
from covidlit.cohort.clinical.units import factor, spelled
from covidlit.cohort.spellings import spelling
from covidlit.counted import counted
from covidlit.errors import ConfigError, did_you_mean


@dataclass
class Values:
    """Numbers of a source.

    Args:
        records: `row` of the table, `feature`, `value`, `place` of the column, and `moment` where
            it is another than the row's.
        absent: features of the mapping that the table lacks.
        changed: feature -> rule -> number of cells.
        notes: sentences.
    """

    records: pd.DataFrame
    absent: list[str] = field(default_factory=list)
    changed: dict[str, Counter[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def wide_values(sheet: Sheet, mapping: ClinicalMapping, problems: Problems) -> Values:
    """The numbers of a table with a column for each feature."""
    found = Values(pd.DataFrame())
    parts: list[pd.DataFrame] = []
    for name, lab in mapping.numbers.items():
        place = sheet.column(lab.names, name) if lab.required else sheet.find(lab.names)
        if place is None:
            found.absent.append(name)
            continue
        _require_same_unit(sheet, place, name, lab, problems)
        units = [lab.unit] * len(sheet.cells)
        rows = np.arange(len(sheet.cells))
        parts.append(_feature(sheet, mapping, name, lab, rows, place, units, problems, found))
    named = {
        place for lab in mapping.numbers.values() if (place := sheet.find(lab.names)) is not None
    }
    others = [name for k, name in enumerate(sheet.header) if name and k not in named]
    found.notes += _perhaps_meant(mapping, found.absent, others, "column")
    found.records = _joined(parts)
    return found


def _perhaps_meant(
    mapping: ClinicalMapping, absent: list[str], others: list[str], what: str
) -> list[str]:
    """A sentence for each feature that is not there, but something that is spelt much like it."""
    sentences = []
    for name in absent:
        hints = [_close(each, others) for each in mapping.numbers[name].names]
        if hint := next(filter(None, hints), None):
            sentences.append(
                f"{name} is not there: {hint} If that {what} is meant, add its name to the mapping."
            )
    return sentences


def _close(name: str, others: list[str]) -> str | None:
    return did_you_mean(name, others, cutoff=0.8) if len(name) > 3 else None


def _require_same_unit(sheet: Sheet, place: int, name: str, lab: Lab, problems: Problems) -> None:
    """Hold the unit of the mapping against the one that the table itself states."""
    stated = sheet.units.get(place)
    if stated is None or lab.unit is None:
        return
    try:
        same = factor(stated, lab.unit) == 1.0
    except ConfigError:
        same = False
    if not same:
        problems.of(
            sheet.where,
            f"column {sheet.header[place]!r}: the table states {stated!r}, and the mapping says "
            f"{lab.unit!r} ({name})",
            f"correct {name}.unit in the mapping",
        )


def long_values(sheet: Sheet, mapping: ClinicalMapping, problems: Problems) -> Values:
    """The numbers of a table with a row for each value."""
    assert mapping.long is not None
    found = Values(pd.DataFrame())
    test = sheet.column(mapping.long.test, "long.test")
    place = sheet.column(mapping.long.value, "long.value")
    unit = None if mapping.long.unit is None else sheet.column(mapping.long.unit, "long.unit")
    names = ["" if is_empty(cell) else as_text(cell) for cell in sheet.values(test)]
    told = np.array([spelling(name) for name in names], dtype=object)
    units = [None] * len(names) if unit is None else sheet.values(unit)
    meant = np.zeros(len(names), dtype=bool)
    parts: list[pd.DataFrame] = []
    for name, lab in mapping.numbers.items():
        rows = np.flatnonzero(np.isin(told, [spelling(each) for each in lab.names]))
        meant[rows] = True
        if not len(rows):
            if lab.required:
                sheet.column(lab.names, name)
            found.absent.append(name)
            continue
        own = [lab.unit if is_empty(units[r]) else as_text(units[r]) for r in rows]
        parts.append(_feature(sheet, mapping, name, lab, rows, place, own, problems, found))
    others = Counter(name for name, known in zip(names, meant, strict=True) if not known and name)
    if others:
        found.notes += _perhaps_meant(mapping, found.absent, list(others), "test")
        first = ", ".join(f"{name!r} ({n})" for name, n in others.most_common(10))
        found.notes.append(
            f"{counted(sum(others.values()), 'row')} of {counted(len(others), 'test')} that the "
            f"mapping does not name left out: {first}{', ...' if len(others) > 10 else ''}."
        )
    found.records = _joined(parts)
    return found


def _feature(
    sheet: Sheet, mapping: ClinicalMapping, name: str, lab: Lab, rows: Any, place: int,
    units: list[str | None], problems: Problems, found: Values,
) -> pd.DataFrame:  # fmt: skip
    """The records of one feature."""
    column = sheet.cells.iloc[:, place].to_numpy()
    words: dict[str, float | None] = dict(lab.words)
    if isinstance(lab, Further) and lab.map is not None:
        words |= lab.map
    known = [unit for unit in dict.fromkeys(units) if unit is not None]
    read = as_numbers(
        [_mapped(column[r], words) for r in rows], mapping.texts, words=words,
        decimal=mapping.decimal, units=known,
    )  # fmt: skip
    for k, what in read.wrong.items():
        problems.of_cell(
            sheet, int(rows[k]), place, what,
            f"correct the cell, empty it, or say what it means in texts.words or {name}.words of "
            "the mapping (null: missing)",
        )  # fmt: skip
    values = _converted(sheet, mapping, name, rows, units, read, place, problems)
    _only_with(sheet, lab, rows, values, read)
    _check(sheet, mapping, name, rows, values, units, read, place, problems)
    if read.changed:
        found.changed[name] = read.changed
    there = np.isfinite(values)
    records = pd.DataFrame(
        {"row": rows[there], "feature": name, "value": values[there], "place": place}
    )
    records["moment"] = pd.Series(pd.NaT, index=records.index, dtype="datetime64[ns]")
    if lab.date is not None:
        own = days_of(sheet, lab.date, mapping, f"{name}.date", problems, found.notes)
        if own is not None:
            records["moment"] = own.iloc[rows[there]].to_numpy()
            day = sheet.find(lab.date.column or []) or 0
            for row in records.loc[records["moment"].isna(), "row"]:
                problems.of_cell(
                    sheet, int(row), day, f"{name} has no date of its own in this row",
                    "fill in its date, or empty the value",
                )  # fmt: skip
    return records


def _mapped(cell: Any, words: dict[str, float | None]) -> Any:
    """A code that the mapping names, such as 1, as the text by which it does."""
    if words and isinstance(cell, int | float) and as_text(cell) in words:
        return as_text(cell)
    return str(cell).casefold() if isinstance(cell, bool) and words else cell


def _converted(
    sheet: Sheet, mapping: ClinicalMapping, name: str, rows: Any, units: list[str | None],
    read: Cells, place: int, problems: Problems,
) -> np.ndarray:  # fmt: skip
    """The values in the unit that the feature is held in; an unknown unit is a problem."""
    held, molar = mapping.held_in(name), mapping.molar_mass(name)
    factors = np.full(len(rows), np.nan)
    of_unit = np.array(["" if unit is None else unit for unit in units], dtype=object)
    for unit in dict.fromkeys(of_unit):
        same = of_unit == unit
        free = isinstance(mapping.numbers[name], Further) and held == "1"
        if unit == "" and free:
            factors[same] = 1.0
            continue
        used = np.flatnonzero(same & np.isfinite(read.values))
        if unit == "":
            if len(used):
                problems.of_cell(
                    sheet, int(rows[used[0]]), place,
                    f"no unit is given, in {counted(len(used), 'row')} of {name}",
                    f"fill the column of units, or say it in the mapping: {name}.unit",
                )  # fmt: skip
            continue
        try:
            factors[same] = factor(unit, held, molar)
        except ConfigError as problem:
            if len(used):
                problems.of_cell(
                    sheet, int(rows[used[0]]), place,
                    f"{problem.what.rstrip('.')} ({name}, {counted(len(used), 'row')})",
                    str(problem.fix).rstrip("."),
                )  # fmt: skip
            continue
        if spelled(unit) != spelled(held) and factors[same][0] != 1.0 and len(used):
            read.changed[f"from {unit} to {held}"] += len(used)
    values = read.values * factors
    return np.where(np.isfinite(values), np.round(values, 9), values)


def _only_with(sheet: Sheet, lab: Lab, rows: Any, values: np.ndarray, read: Cells) -> None:
    """Empty the values of rows in which the column is empty that they need."""
    if lab.only_with is None or (place := sheet.find(lab.only_with)) is None:
        return
    column = sheet.values(place)
    lonely = np.array([is_empty(column[r]) for r in rows], dtype=bool) & np.isfinite(values)
    values[lonely] = np.nan
    if lonely.any():
        read.changed[f"in a row without {sheet.header[place]}, left out"] += int(lonely.sum())


def _check(
    sheet: Sheet, mapping: ClinicalMapping, name: str, rows: Any, values: np.ndarray,
    units: list[str | None], read: Cells, place: int, problems: Problems,
) -> None:  # fmt: skip
    """Hold values against what a patient can have: the unit of all of them first, then each."""
    limits, molar = limits_of(mapping, name), mapping.molar_mass(name)
    raw = np.where(np.isfinite(values), read.values, np.nan)
    with np.errstate(invalid="ignore"):
        wrong = np.isfinite(values) & ~((values >= limits.low) & (values <= limits.high))
    of_unit = np.array([unit or "" for unit in units], dtype=object)
    for unit in dict.fromkeys(of_unit) if mapping.check_units else ():
        same = of_unit == unit
        if not unit or not np.isfinite(raw[same]).any():
            continue
        if text := looks_like(np.where(same, raw, np.nan), unit, limits, molar):
            first = np.flatnonzero(same & np.isfinite(values))
            worst = next((k for k in first if wrong[k]), first[0])
            problems.of_cell(
                sheet, int(rows[worst]), place, f"{name} is said to be in {unit}, and {text}",
                f"correct the unit of {name} in the mapping; if it is right, set check_units: "
                "false there",
            )  # fmt: skip
            values[same] = np.nan
    wrong &= np.isfinite(values)
    if mapping.implausible == "missing":
        if wrong.any():
            read.changed[f"not {limits.low:g} to {limits.high:g} {limits.unit}, missing"] += int(
                wrong.sum()
            )
        values[wrong] = np.nan
        return
    for k in np.flatnonzero(wrong):
        problems.of_cell(
            sheet, int(rows[k]), place,
            f"{values[k]:g} {limits.unit} of {name}: must be {limits.low:g} to {limits.high:g} "
            f"{limits.unit}{_alone(float(raw[k]), units[k], limits, molar)}",
            "correct the cell or its unit, or have such values emptied and counted: implausible: "
            "missing in the mapping",
        )  # fmt: skip


def _alone(value: float, unit: str | None, limits: Limits, molar: float | None) -> str:
    return alone_looks_like(value, unit, limits, molar) if unit else ""


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    there = [part for part in parts if len(part)]
    if there:
        return pd.concat(there, ignore_index=True)
    return pd.DataFrame(
        {
            "row": pd.Series(dtype=int),
            "feature": pd.Series(dtype=object),
            "value": pd.Series(dtype=float),
            "place": pd.Series(dtype=int),
            "moment": pd.Series(dtype="datetime64[ns]"),
        }
    )
