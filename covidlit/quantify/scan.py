"""One scan: labels, factors, DICOM objects and its rows of the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom import Checks
from covidlit.dicom.out import write_objects
from covidlit.lesions.label_files import write_labels
from covidlit.lesions.quantify import quantify_labels
from covidlit.quantify.identity import Identity
from covidlit.quantify.labeller import Labeller
from covidlit.scans.lesion_labels import LesionLabels
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
        scan, labels: as they were measured; None where an earlier call did that.
    """

    factors: dict[str, Any]
    lesions: pd.DataFrame
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
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
    dicom: bool = True,
    before: Mapping[str, Any] | None = None,
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
        dicom: write DICOM objects, where the source is a DICOM series.
        before: the row of factors of the patient's scan before.

    Raises:
        CovidlitError: no labels, or labels and objects that do not fit the scan.
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
    if before is not None:
        change = factors["total_volume_ml"] - before["total_volume_ml"]
        factors["volume_change_ml"] = float(change)
    files = list(write_labels(out_dir / LABELS, name, labels))
    notes: tuple[str, ...] = ()
    if dicom and source.series is not None:
        written = write_objects(
            source.series(), scan, labels.classes, labels.instances, factors, lesions,
            out_dir / OBJECTS / name, algorithm=labeller.algorithm, checks=checks,
        )  # fmt: skip
        files += written.paths
        lesions, notes = written.lesions, written.notes
    elif dicom:
        notes = ("an image file has no DICOM study to write objects into",)
    relative = tuple(str(path.relative_to(out_dir)) for path in files)
    return Quantified(factors, lesions, relative, notes, scan, labels)
