"""The course of the factor that a disease is followed by, with what is said of each change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from covidlit.cohort.factor_definitions import Definition
from covidlit.lesions.agreement import LIMITS, verdict
from covidlit.lesions.trend import TREND_COLUMNS, change_text, trend_table
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.viewing.figure import SMALL, Event, Figure, Value, figure_of


def trend_of(
    rows: Sequence[tuple[Scan, Labelling | None]],
    disease: Disease,
    events: Sequence[Event] = (),
) -> Figure | None:
    """The trend of a patient's scans; None with less than two that have a date and a value.

    Args:
        rows: scans with their newest labelling of the disease.
        disease: whose followed factor it is.
        events: marked where they lie between the scans.
    """
    known: list[Value] = []
    column = disease.followed.column
    changes = _changes(trend_rows(rows), column)
    for scan, labelling in rows:
        value = labelling.factors.get(column) if labelling else None
        if scan.acquired_on is not None and value is not None:
            known.append(Value(scan.acquired_on, float(value), changes.get(scan.scan_id, "")))
    return figure_of(known, events)


def courses_of(
    rows: Sequence[tuple[Scan, Labelling | None]], disease: Disease
) -> list[tuple[Definition, Figure]]:
    """The courses of the other factors that a disease shows, those of at least two days."""
    found = []
    for about in disease.definitions:
        known = [
            Value(scan.acquired_on, float(labelling.factors[about.column]))
            for scan, labelling in rows
            if scan.acquired_on is not None
            and labelling is not None
            and labelling.factors.get(about.column) is not None
        ]
        figure = figure_of(known, (), *SMALL)
        if about != disease.followed and figure is not None:
            found.append((about, figure))
    return found


def trend_rows(rows: Sequence[tuple[Scan, Labelling | None]]) -> list[dict[str, Any]]:
    """What `covidlit trend` says of each scan since the one before, by date.

    Args:
        rows: scans with their newest labelling.

    Returns:
        `covidlit.lesions.trend.TREND_COLUMNS`; nothing of scans that are not measured yet.
    """
    factors: list[dict[str, Any]] = [
        {**labelling.factors, "scan_id": scan.scan_id, "patient_id": str(scan.patient_id),
         "acquisition_date": scan.acquired_on}
        for scan, labelling in rows
        if labelling is not None
    ]  # fmt: skip
    if not factors:
        return []
    table = pd.DataFrame(factors)
    table["acquisition_date"] = pd.to_datetime(table["acquisition_date"])
    found: list[dict[str, Any]] = trend_table(table).to_dict("records")
    return found


def _changes(rows: Sequence[dict[str, Any]], column: str) -> dict[str, str]:
    """What became of a factor since the scan before, by scan_id, as "+7.8 (more)".

    Nothing of one for which no limits of agreement were measured: it would be called a change
    whatever it is.
    """
    if column == "total_volume_ml":
        return {str(row["scan_id"]): change_text(row) for row in rows}
    if column not in LIMITS or column not in TREND_COLUMNS:
        return {}
    table = pd.DataFrame(rows, columns=list(TREND_COLUMNS))
    found = {}
    for day in sorted(table["acquisition_date"].dropna().unique()):
        earlier = table[table["acquisition_date"] < day]
        last = earlier[earlier["acquisition_date"] == earlier["acquisition_date"].max()]
        before = last[column].mean()
        for row in table[table["acquisition_date"] == day].to_dict("records"):
            said = verdict(column, before, row[column]) if len(last) else "undefined"
            if said != "undefined":
                found[str(row["scan_id"])] = f"{row[column] - before:+.2f} ({said})"
    return found
