"""One scan: labels, factors, DICOM objects and its rows of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom import Checks
from covidlit.dicom.out import remove_objects, write_objects
from covidlit.errors import DicomError
from covidlit.lesions import spread, validate_factors, validate_lesions
from covidlit.lesions.label_files import write_labels
from covidlit.lesions.lungs import segment_airways
from covidlit.lesions.quantify import quantify_labels
from covidlit.lesions.report.severity import Severity
from covidlit.lesions.trend import NOT_MATCHED, changes_table
from covidlit.quantify.identity import Identity
from covidlit.quantify.labeller import Labeller
from covidlit.quantify.writing import LABELMAP, Writing
from covidlit.scans.lesion_labels import LesionLabels, read_labels
from covidlit.scans.scan import Scan

LABELS, OBJECTS = "labels", "dicom"
"""Folders of the results: labels as NIfTI, and a folder of DICOM objects per scan."""


@dataclass(frozen=True)
class Quantified:
    """What came of a scan.

    Args:
        factors: its row of contract 8.
        lesions: rows of contract 8, with `tracking_uid`.
        files: what was written, relative to the folder of the results.
        notes: what a reader should know.
        labelled_by: what labelled it; see `Labeller`.
        changes: rows of `CHANGE_COLUMNS`, what became of the lesions since the scan before.
        spread: factors under other definitions, rows of `SPREAD_COLUMNS`; empty unless asked for.
        severity: by a trained model; None unless asked for.
        severity_key: hash of what that depends on beside the factors; empty without.
        scan, labels: as they were measured; None where an earlier call did that.
    """

    factors: dict[str, Any]
    lesions: pd.DataFrame
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
    labelled_by: str = ""
    changes: tuple[dict[str, Any], ...] = ()
    spread: tuple[dict[str, Any], ...] = ()
    severity: Severity | None = None
    severity_key: str = ""
    scan: Scan | None = field(default=None, repr=False)
    labels: LesionLabels | None = field(default=None, repr=False)


def quantify_scan(
    source: ScanSource,
    name: str,
    scan: Scan,
    identity: Identity,
    labeller: Labeller,
    out_dir: Path,
    *,
    checks: Checks,
    writing: Writing = Writing(),  # noqa: B008 (frozen)
    before: Sequence[Quantified] = (),
) -> Quantified:
    """Label and measure a scan, and write what belongs to it alone.

    Args:
        source: that the scan was read from.
        name: what its files are called.
        scan: as it was read.
        identity: patient and day.
        labeller: of lungs and lesions.
        out_dir: folder of the results.
        checks: that the scan was read with.
        writing: what is written beside labels and factors.
        before: the patient's scans of the day before: the change is that since their mean, and the
            lesions of the first keep their `tracking_uid` in this one.

    Raises:
        CovidlitError: no labels, labels and objects that do not fit the scan, or factors that
            contract 8 does not allow, such as lesions larger than a chest.
    """
    labels = labeller.label(source, name, scan)
    measured = quantify_labels(
        scan,
        labels,
        patient_id=identity.patient_id or name,
        scan_id=name,
        acquisition_date=identity.date or None,
    )
    factors, lesions = dict(measured.scan), measured.lesions
    notes: tuple[str, ...] = ()
    changes: list[dict[str, Any]] = []
    if before:
        earlier = float(np.mean([one.factors["total_volume_ml"] for one in before]))
        factors["volume_change_ml"] = float(factors["total_volume_ml"] - earlier)
        found, lesions = _tracked(lesions, factors, labels, before[0], out_dir)
        changes = _plain(found)
        notes += tuple(
            f"lesions not matched with the scan before: {row['reason']}"
            for row in changes
            if row["change"] == NOT_MATCHED
        )
    # Here and not of all scans at the end, where one of them would cost the tables of all.
    validate_factors(pd.DataFrame([factors]), where=name)
    validate_lesions(lesions, where=name)
    files = list(write_labels(out_dir / LABELS, name, labels))
    # First, lest objects of other labels stay where none can be written.
    remove_objects(out_dir / OBJECTS / name)
    if writing.dicom:
        written, lesions, of_objects = _objects(
            source, scan, labels, factors, lesions, out_dir / OBJECTS / name, labeller, checks,
            writing,
        )  # fmt: skip
        files += written
        notes += of_objects
    relative = tuple(str(path.relative_to(out_dir)) for path in files)
    rows = tuple(_other_definitions(scan, labels)) if writing.spread else ()
    engine = labeller.engine_of(source)
    return Quantified(
        factors, lesions, relative, notes, engine, tuple(changes), rows, scan=scan, labels=labels
    )


def _other_definitions(scan: Scan, labels: LesionLabels) -> list[dict[str, Any]]:
    airways = segment_airways(scan.hu, scan.spacing)
    return _plain(spread(scan, labels, airways if airways.any() else None))


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, None where a value is missing."""
    rows: list[dict[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    return rows


def _objects(
    source: ScanSource,
    scan: Scan,
    labels: LesionLabels,
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    folder: Path,
    labeller: Labeller,
    checks: Checks,
    writing: Writing,
) -> tuple[list[Path], pd.DataFrame, tuple[str, ...]]:
    """Write the DICOM objects, where the series allows them: files, lesions and notes."""
    if source.series is None:
        return [], lesions, ("no DICOM objects: an image file has no study to write them into",)
    try:
        written = write_objects(
            source.series(), scan, labels.classes, labels.instances, factors, lesions, folder,
            algorithm=labeller.algorithm_of(source), checks=checks,
            absent_as_empty=writing.absent_as_empty,
            classes_as_label_map=writing.segmentation == LABELMAP,
        )  # fmt: skip
    except DicomError as error:
        return [], lesions, (f"no DICOM objects: {error.what} {error.fix or ''}".strip(),)
    return list(written.paths), written.lesions, written.notes


def _tracked(
    lesions: pd.DataFrame,
    factors: Mapping[str, Any],
    labels: LesionLabels,
    before: Quantified,
    out_dir: Path,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What became of the lesions of the scan before, and the lesions under the identifiers they
    had then."""
    scans = pd.DataFrame([before.factors, factors])
    scans["acquisition_date"] = pd.to_datetime(scans["acquisition_date"])
    both = pd.concat([each for each in (before.lesions, lesions) if len(each)] or [lesions])
    name = str(factors["scan_id"])

    def labels_of(scan_id: str) -> LesionLabels:
        return labels if scan_id == name else read_labels(out_dir / LABELS, scan_id)

    changes, tracked = changes_table(scans, both.reset_index(drop=True), labels_of)
    own = tracked[tracked["scan_id"] == name].reset_index(drop=True)
    return changes, own.assign(volume_change_ml=own["lesion_id"].map(_volume_changes(changes)))


def _volume_changes(changes: pd.DataFrame) -> dict[int, float]:
    """Lesion -> its volume minus that of the lesions that it was; of one that is new or was split
    off there is none."""
    return {
        int(row["lesions_after"]): row["volume_after_ml"] - row["volume_before_ml"]
        for row in changes.to_dict("records")
        if str(row["lesions_before"] or "").strip() and str(row["lesions_after"]).isdigit()
    }
