"""The job that makes a training set of the scans that people have corrected.

An archive holds `manifest.csv` (contract 2), `images/<scan>.nii.gz` in HU, `labels/` (contract 7),
and `slices.parquet` with `annotations.json` (contract 11, COCO): what `data=slices` and `covidlit
coco` read. Images have no headers, patients go by pseudonym.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pandas as pd
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
from covidlit.platform.grading.manifest import manifest_of
from covidlit.platform.grading.standing import standings
from covidlit.platform.grading.waiting import hidden_from
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.registry.models import Labelling
from covidlit.platform.viewing.slices import volume_of
from covidlit.scans.images import write_nifti
from covidlit.scans.lesion_labels import LesionLabels

IMAGES, LABELS, MANIFEST = "images", "labels", "manifest.csv"


def corrected(export: Export) -> list[Labelling]:
    """The newest labelling of each scan, where a person has made it and the owner may export it.

    Of the disease that the study group follows.
    """
    rows = Labelling.objects.seen_by(export.owner, Right.EXPORT).filter(
        scan__patient__centre=export.centre, scan__patient__study_groups=export.study_group,
        disease=export.study_group.disease,
    )  # fmt: skip
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
    table = _manifest(rows, own) if rows else pd.DataFrame()
    if table.empty:
        raise CovidlitError(
            "no scan is corrected there yet, or graders have excluded all that are.",
            where=str(own), fix="correct scans first.",
        )  # fmt: skip
    rows = [rows[number] for number in table.index]
    shutil.rmtree(folder_of(own), ignore_errors=True)  # of an attempt that was lost
    work = folder_of(own) / "work"
    for number, (row, name) in enumerate(zip(rows, table["scan_id"], strict=True)):
        say(f"scan {number + 1} of {len(rows)}", 0.9 * number / len(rows))
        _write_scan(row, name, work)
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
             "disease": own.study_group.disease,
             "scans": [f"{row.scan.scan_id}, version {row.version}" for row in rows]},
        )  # fmt: skip


def _manifest(rows: Sequence[Labelling], export: Export) -> pd.DataFrame:
    """The manifest of the scans with their grades, and who has corrected what and when.

    Scans that a grader has excluded are not in it.
    """
    disease = export.study_group.disease
    hidden = set(hidden_from(export.owner, disease).values_list("pk", flat=True))
    table = manifest_of(standings([row.scan for row in rows], disease), hidden=hidden)
    table = table.assign(
        path=[f"{IMAGES}/{scan_id}.nii.gz" for scan_id in table["scan_id"]],
        labelled_by=[row.labelled_by for row in rows],
        corrected_version=[row.version for row in rows],
        corrected_by=[str(row.corrected_by) for row in rows],
        corrected_at=[row.made_at.isoformat(timespec="seconds") for row in rows],
    )
    return table[table["status"] != "refused"]


def _write_scan(row: Labelling, name: str, work: Path) -> None:
    """The image and the labels of a scan."""
    volume = volume_of(row.scan)
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
