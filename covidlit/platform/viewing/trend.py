"""The course of the volume of lesions, with what `covidlit trend` says of each change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from covidlit.lesions.trend import change_text, trend_table
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.viewing.figure import Event, Figure, Value, figure_of


def trend_of(
    rows: Sequence[tuple[Scan, Labelling | None]], events: Sequence[Event] = ()
) -> Figure | None:
    """The trend of a patient's scans; None with less than two that have a date and a volume.

    Args:
        rows: scans with their newest labelling.
        events: marked where they lie between the scans.
    """
    known: list[Value] = []
    changes = {str(row["scan_id"]): change_text(row) for row in trend_rows(rows)}
    for scan, labelling in rows:
        volume = labelling.factors.get("total_volume_ml") if labelling else None
        if scan.acquired_on is not None and volume is not None:
            known.append(Value(scan.acquired_on, float(volume), changes.get(scan.scan_id, "")))
    return figure_of(known, events)


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
