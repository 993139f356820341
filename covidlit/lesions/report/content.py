"""What a patient's report says, gathered once for the page and the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.factor_definitions import DEFINITIONS
from covidlit.dicom.out.terms import (
    CLASS_TERMS,
    LESION_TERMS,
    SCAN_TERMS,
    UNDEFINED,
    VALUE_OF_CLASS,
    value_text,
)
from covidlit.dicom.tracking import tracking_identifier
from covidlit.errors import CovidlitError
from covidlit.lesions.report.limits import limits_of
from covidlit.lesions.report.pictures import key_slice_pictures, side_views
from covidlit.lesions.report.regions import region_rows
from covidlit.lesions.report.severity import Severity, SeveritySection, severity_section
from covidlit.lesions.report.trend import Trend, trend_of
from covidlit.scans.lesion_labels import FIRST_LESION
from covidlit.scans.scan import Scan


class CorrectionMade(NamedTuple):
    """That a person has corrected the lesions of a scan.

    Args:
        scan_id: of the scan.
        at: when, with its time zone.
        by: who.
        what: the edits, in words.
    """

    scan_id: str
    at: datetime
    by: str
    what: str

    @property
    def cells(self) -> list[str]:
        """Of a row under `CORRECTION_HEADS`."""
        return [f"{self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", self.scan_id, self.by, self.what]


CORRECTION_HEADS = ("When", "Scan", "Who", "What")


@dataclass(frozen=True)
class Cell:
    """A factor as the report shows it."""

    label: str
    value: str
    meaning: str
    undefined: bool


@dataclass(frozen=True)
class Content:
    """The parts of a report, as texts and pictures; empty where there is nothing to say.

    Args:
        facts: (name, value) of patient and scan.
        factors: the eleven, in order.
        regions: cells of `REGION_HEADS`.
        classes: (label, RGB, whether the scan has it).
        slices, views: (caption, PNG data URI).
        heads, lesions: of the table of lesions, the largest first.
        has_lesion, has_lung: whether any was drawn.
        trend: None of a single scan.
        spread: (factor, definition, value).
        severity: None where none was asked for.
        corrections: cells of `CORRECTION_HEADS`, the oldest first.
        limits, notes: sentences.
        written: when, as text.
    """

    facts: list[tuple[str, str]]
    factors: list[Cell]
    regions: list[list[str]]
    classes: list[tuple[str, tuple[int, int, int], bool]]
    slices: list[tuple[str, str]]
    views: list[tuple[str, str]]
    heads: list[str]
    lesions: list[list[str]]
    has_lesion: bool
    has_lung: bool
    trend: Trend | None
    spread: list[list[str]]
    severity: SeveritySection | None
    corrections: list[list[str]]
    limits: list[str]
    notes: list[str]
    written: str


def content_of(
    scan: Scan,
    classes: NDArray[np.uint8],
    instances: NDArray[np.integer[Any]],
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    *,
    history: pd.DataFrame | None = None,
    changes: pd.DataFrame | None = None,
    spread: pd.DataFrame | None = None,
    severity: Severity | None = None,
    corrections: Sequence[CorrectionMade] = (),
    drawn_by: str = "",
    notes: Sequence[str] = (),
) -> Content:
    """What the report of a scan says; arguments as of `write_patient_report`.

    Raises:
        CovidlitError: labels of another shape than the scan.
        ManifestError: a history of another patient.
    """
    for name, volume in (("classes", classes), ("instances", instances)):
        if volume.shape != scan.hu.shape:
            raise CovidlitError(
                f"{name} {volume.shape} do not fit the scan {scan.hu.shape}.",
                where="patient report",
                fix="give the labels of this scan.",
            )
    row = dict(factors)
    present = np.unique(classes)
    section = severity_section(severity)
    return Content(
        facts=_facts(scan, row, drawn_by),
        factors=_cells(row),
        regions=region_rows(row),
        classes=[
            (terms.label, terms.rgb, value in present) for value, terms in CLASS_TERMS.items()
        ],
        slices=key_slice_pictures(scan, classes),
        views=side_views(classes, scan.spacing),
        heads=_lesion_heads(lesions),
        lesions=_lesion_rows(lesions),
        has_lesion=bool((present >= FIRST_LESION).any()),
        has_lung=bool((present >= 1).any()),
        trend=trend_of(history, row, changes),
        spread=_spread_rows(spread),
        severity=section,
        corrections=[each.cells for each in sorted(corrections, key=lambda one: one.at)],
        limits=limits_of(row, scored=section is not None and bool(section.score)),
        notes=list(dict.fromkeys([*scan.notes, *notes])),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _cells(factors: Mapping[str, Any]) -> list[Cell]:
    cells = []
    meanings = {
        each.column: f"{each.scan}; of a lesion: {each.lesion}" if each.lesion else each.scan
        for each in DEFINITIONS
    }
    for column, terms in SCAN_TERMS.items():
        text = value_text(factors.get(column), terms)
        cells.append(Cell(terms.label, text, meanings[column], text == UNDEFINED))
    return cells


def _facts(scan: Scan, factors: Mapping[str, Any], drawn_by: str) -> list[tuple[str, str]]:
    z, y, x = scan.spacing
    slices, rows, columns = scan.hu.shape
    date = factors.get("acquisition_date")
    in_view = scan.lungs_in_view_percent
    facts = [
        ("Patient", str(factors.get("patient_id", ""))),
        ("Scan", str(factors.get("scan_id", ""))),
        ("Date", UNDEFINED if date is None or pd.isna(date) else str(date)[:10]),
        ("Volume", f"{slices} slices of {rows} x {columns}, {z:.2f} x {y:.2f} x {x:.2f} mm"),
    ]
    if in_view is not None:
        facts.append(("Lungs in view", f"{in_view:.0f} %"))
    if drawn_by:
        facts.append(("Drawn by", drawn_by))
    return facts


def _lesion_heads(lesions: pd.DataFrame) -> list[str]:
    heads = ["No.", "Class", *(_head(name) for name in _lesion_columns(lesions))]
    return [*heads, "In DICOM"] if _is_tracked(lesions) else heads


def _is_tracked(lesions: pd.DataFrame) -> bool:
    return "tracking_uid" in lesions and bool(lesions["tracking_uid"].notna().all())


def _head(name: str) -> str:
    terms = LESION_TERMS[name]
    return f"{terms.label} ({terms.unit_label})" if terms.unit_label else terms.label


def _lesion_columns(lesions: pd.DataFrame) -> list[str]:
    return [name for name in LESION_TERMS if name in lesions]


def _lesion_rows(lesions: pd.DataFrame) -> list[list[str]]:
    if not len(lesions):
        return []
    table = lesions.sort_values("volume_ml", ascending=False, kind="stable")
    tracked = _is_tracked(lesions)
    return [
        [
            str(int(row["lesion_id"])),
            CLASS_TERMS[VALUE_OF_CLASS[row["class_name"]]].label,
            *(
                value_text(row[name], LESION_TERMS[name])
                .removesuffix(LESION_TERMS[name].unit_label)
                .strip()
                for name in _lesion_columns(lesions)
            ),
            *([tracking_identifier(str(row["tracking_uid"]))] if tracked else []),
        ]
        for row in table.to_dict("records")
    ]


def _spread_rows(spread: pd.DataFrame | None) -> list[list[str]]:
    if spread is None or not len(spread):
        return []
    meaning = {each.column: each.name for each in DEFINITIONS}
    return [
        [
            meaning.get(row["factor"], row["factor"].rsplit("_", 1)[0].replace("_", " ")),
            row["definition"],
            UNDEFINED if pd.isna(row["value"]) else f"{row['value']:.4g} {_unit(row['unit'])}",
        ]
        for row in spread.to_dict("records")
    ]


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit
