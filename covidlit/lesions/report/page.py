"""One self-contained HTML file per patient: nothing in it needs a network or a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

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
from covidlit.files import write_text
from covidlit.lesions.report.limits import limits_of
from covidlit.lesions.report.pictures import key_slice_pictures, side_views
from covidlit.lesions.report.regions import REGION_HEADS, region_rows
from covidlit.lesions.report.scene import scene, scene_json
from covidlit.lesions.report.severity import Severity, severity_section
from covidlit.lesions.report.trend import trend_of
from covidlit.scans.lesion_labels import FIRST_LESION
from covidlit.scans.scan import Scan
from covidlit.version import __version__

OPEN_ROWS = 15
"""Lesions that are listed at once; the others are folded away below them."""


@dataclass(frozen=True)
class Cell:
    """A factor as the page shows it."""

    label: str
    value: str
    meaning: str
    undefined: bool


def write_patient_report(
    scan: Scan,
    classes: NDArray[np.uint8],
    instances: NDArray[np.integer[Any]],
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    path: str | Path,
    *,
    history: pd.DataFrame | None = None,
    changes: pd.DataFrame | None = None,
    spread: pd.DataFrame | None = None,
    severity: Severity | None = None,
    drawn_by: str = "",
    notes: Sequence[str] = (),
) -> Path:
    """Write the report of a patient's scan.

    Key slices with contours, the lungs and lesions to turn in space, the factors with units, the
    lesions, the trend where there are several scans, the severity where a model has scored it, and
    what the numbers cannot say.

    Args:
        scan: canonical.
        classes, instances: (z, y, x), contract 7.
        factors: the scan's row of contract 8.
        lesions: its lesions of contract 8; further columns are left alone.
        path: the file to write.
        history: the patient's rows of contract 8, of other dates too.
        changes: of `covidlit.lesions.trend.changes_table`; those of the scan since the one before
            are shown.
        spread: of `covidlit.lesions.spread`: the factors under other definitions.
        severity: of the scan, by a trained model; a page without one has no such section.
        drawn_by: what drew the lesions, such as the checkpoint's name.
        notes: further remarks, such as those of the objects that were written.

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
    data = scene(classes, instances, lesions, scan.affine)
    present = np.unique(classes)
    html = _template().render(
        factors=_cells(row),
        facts=_facts(scan, row, drawn_by),
        regions=region_rows(row),
        classes=[
            (terms.label, "rgb({},{},{})".format(*terms.rgb), value in present)
            for value, terms in CLASS_TERMS.items()
        ],
        slices=key_slice_pictures(scan, classes),
        views=side_views(classes, scan.spacing),
        heads=_lesion_heads(lesions),
        region_heads=REGION_HEADS,
        lesions=_lesion_rows(lesions),
        open_rows=OPEN_ROWS,
        has_lesion=bool((present >= FIRST_LESION).any()),
        has_lung=bool((present >= 1).any()),
        trend=trend_of(history, row, changes),
        spread=_spread_rows(spread),
        severity=(section := severity_section(severity)),
        limits=limits_of(row, scored=section is not None and bool(section.score)),
        notes=list(dict.fromkeys([*scan.notes, *notes])),
        # What follows is script and data, and no text of the user's that could be mistaken for it.
        scene=Markup(scene_json(data)),
        has_scene=bool(data["surfaces"]),
        plotly=Markup(get_plotlyjs()),
        view=Markup(_read("view.js")),
        style=Markup(_read("patient.css")),
        version=__version__,
    )
    return write_text(path, html)


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


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("patient.html.j2"))


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
