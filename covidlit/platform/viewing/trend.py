"""The course of a lesion volume as a figure that needs no script: SVG, and the same as words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from covidlit.lesions.trend import change_text, trend_table
from covidlit.platform.registry.models import Labelling, Scan

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 14, 34


@dataclass(frozen=True)
class Point:
    """A scan in the figure.

    Args:
        x, y: in the figure's units.
        day: of the scan.
        value: mL of lesions.
        change: what is said of it since the scan before; empty where nothing can be.
    """

    x: float
    y: float
    day: date
    value: float
    change: str


@dataclass(frozen=True)
class Trend:
    """A figure of total volume over days.

    Args:
        points: by day.
        ticks: of the vertical axis, (y, label).
    """

    points: tuple[Point, ...]
    ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def line(self) -> str:
        """The points as SVG's `polyline` takes them."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def trend_of(rows: Sequence[tuple[Scan, Labelling | None]]) -> Trend | None:
    """The trend of a patient's scans; None with less than two that have a date and a volume.

    Args:
        rows: scans with their newest labelling.
    """
    known: list[tuple[date, float, str]] = []
    changes = {str(row["scan_id"]): change_text(row) for row in trend_rows(rows)}
    for scan, labelling in rows:
        volume = labelling.factors.get("total_volume_ml") if labelling else None
        if scan.acquired_on is not None and volume is not None:
            known.append((scan.acquired_on, float(volume), changes.get(scan.scan_id, "")))
    known.sort(key=lambda each: each[0])
    if len(known) < 2 or known[0][0] == known[-1][0]:
        return None
    first, days = known[0][0], (known[-1][0] - known[0][0]).days
    top = max(max(volume for _, volume, _ in known), 1.0)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def height(volume: float) -> float:
        return TOP + down * (1 - volume / top)

    points = tuple(
        Point(LEFT + across * (day - first).days / days, height(volume), day, volume, change)
        for day, volume, change in known
    )
    ticks = tuple((height(top * part), f"{top * part:.3g}") for part in (0.0, 0.5, 1.0))
    return Trend(points, ticks)


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
