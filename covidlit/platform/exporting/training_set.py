"""The job that makes a training set of the scans that people have corrected.

An archive holds `manifest.csv` (contract 2), `images/<scan>.nii.gz` in HU, `labels/` (contract 7),
and `slices.parquet` with `annotations.json` (contract 11, COCO): what `data=slices` and `covidlit
coco` read. Images have no headers, patients go by pseudonym.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pandas as pd
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from covidlit.cohort.manifest import write_manifest
from covidlit.errors import CovidlitError
from covidlit.files import atomic_path
from covidlit.lesions.label_files import write_labels
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.correcting.labels import planes_of
from covidlit.platform.exporting.kept import ARCHIVE, folder_of, remove_old
from covidlit.platform.exporting.models import Export
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.registry.models import Labelling
from covidlit.platform.viewing.planes import Planes
from covidlit.scans.images import write_nifti
from covidlit.scans.lesion_labels import LesionLabels

IMAGES, LABELS, MANIFEST = "images", "labels", "manifest.csv"


def corrected(export: Export) -> list[Labelling]:
    """The newest labelling of each scan, where a person has made it and the owner may export it."""
    rows = Labelling.objects.seen_by(export.owner, Right.EXPORT).filter(
        scan__patient__centre=export.centre, scan__patient__study_groups=export.study_group
    )
    newest: dict[int, Labelling] = {}
    for row in rows.select_related("scan__patient__centre", "corrected_by").order_by("version"):
        newest[row.scan_id] = row
    found = [row for row in newest.values() if row.corrected_by is not None]
    return sorted(found, key=lambda row: (row.scan.patient.pseudonym, row.scan.scan_id))


def export(job: Job, say: Say) -> None:
    """Write the archive; done again it finds it, and a lost attempt leaves nothing.

    Raises:
        CovidlitError: the owner may not export there any more, or no scan is corrected.
    """
    from covidlit.datamodules.slices.label_volumes import label_volumes  # loads PyTorch

    own = Export.objects.select_related("owner", "centre", "study_group").get(
        pk=job.arguments["export"]
    )
    remove_old()
    if own.finished_at is not None:
        return
    if not Export.objects.seen_by(own.owner, Right.EXPORT).filter(pk=own.pk).exists():
        raise CovidlitError(
            "whoever asked for it may not export from there now.", where=str(own),
            fix="have somebody ask who may.",
        )  # fmt: skip
    rows = corrected(own)
    if not rows:
        raise CovidlitError(
            "no scan is corrected there yet.", where=str(own), fix="correct scans first."
        )
    work = folder_of(own) / "work"
    shutil.rmtree(work, ignore_errors=True)  # of an attempt that was lost
    names = _names(rows)
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        say(f"scan {number + 1} of {len(rows)}", 0.9 * number / len(rows))
        _write_scan(row, name, work)
    table = pd.DataFrame([_row(row, name) for row, name in zip(rows, names, strict=True)])
    write_manifest(table, work / MANIFEST)
    say("writing COCO", 0.9)
    label_volumes(str(work / MANIFEST), str(work / LABELS), n_jobs=1, out=str(work / "slices"))
    archive = folder_of(own) / ARCHIVE
    _pack(work, archive)
    shutil.rmtree(work)
    with transaction.atomic():
        Export.objects.filter(pk=own.pk).update(
            finished_at=timezone.now(), n_scans=len(rows), n_bytes=archive.stat().st_size
        )
        record(
            own.owner, "exported a training set", str(own), own.centre.name,
            {"study_group": own.study_group.name,
             "scans": [f"{row.scan.scan_id}, version {row.version}" for row in rows]},
        )  # fmt: skip


def _names(rows: Sequence[Labelling]) -> list[str]:
    """What scans are called here: by their id, with the patient where two have the same."""
    counts = Counter(row.scan.scan_id for row in rows)
    return [
        row.scan.scan_id
        if counts[row.scan.scan_id] == 1
        else f"{row.scan.scan_id}.{row.scan.patient.pseudonym}"
        for row in rows
    ]


def _row(row: Labelling, name: str) -> dict[str, Any]:
    scan = row.scan
    return {
        "patient_id": scan.patient.pseudonym,
        "scan_id": name,
        "path": f"{IMAGES}/{name}.nii.gz",
        "class_name": "",
        "centre": scan.patient.centre.name,
        "acquisition_date": scan.acquired_on.isoformat() if scan.acquired_on else "",
        "label_status": "corrected",
        "labelled_by": row.labelled_by,
        "label_version": row.version,
        "corrected_by": str(row.corrected_by),
        "corrected_at": row.made_at.isoformat(timespec="seconds"),
    }


def _write_scan(row: Labelling, name: str, work: Path) -> None:
    """The image and the labels of a scan."""
    volume = Planes(settings.FOLDER.scans / row.scan.folder / "planes.zip")
    hu = np.stack([volume.plane(index) for index in range(len(volume))])
    (work / IMAGES).mkdir(parents=True, exist_ok=True)
    write_nifti(hu, volume.affine, work / IMAGES / f"{name}.nii.gz")
    planes = planes_of(row)
    both = np.stack([planes.plane(index) for index in range(len(planes))], axis=1)
    labels = LesionLabels(both[0].astype(np.uint8), both[1].astype(np.int32), volume.affine)
    write_labels(work / LABELS, name, labels)


def _pack(folder: Path, archive: Path) -> None:
    """All files of a folder; images and labels are compressed as they are."""
    with atomic_path(archive) as temporary, ZipFile(temporary, "w", ZIP_STORED) as packed:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            packed.write(path, path.relative_to(folder).as_posix())
