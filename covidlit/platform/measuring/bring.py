"""Results of `covidlit quantify` brought into the database: a new version of what has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from django.conf import settings
from django.db import transaction
from django.db.models import Max

from covidlit.platform.correcting.models import Correction
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.files import LABEL_PLANES, label_planes
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.models import Labelling, Lesion, Patient, Scan
from covidlit.platform.sending.dicom_objects import keep_objects
from covidlit.platform.viewing.planes import Planes, write_label_planes
from covidlit.quantify.results import Results
from covidlit.quantify.scan import OBJECTS
from covidlit.scans.images import read_volume
from covidlit.scans.lesion_labels import label_paths

VERSIONS = "versions"
"""Folder of a patient's labellings, apart from what they are measured in."""
_IDS = ("patient_id", "scan_id", "lesion_id")


def bring(
    patient: Patient,
    disease: Disease,
    results: Results,
    folder: Path,
    corrections: Mapping[str, Correction],
) -> None:
    """Keep the factors and lesions of a patient's scans, each as its next version if it is new.

    A version is what was drawn, and by whom. Where that is the same, only what is measured against
    the scan before follows, in the version that is there: nobody has to look at its lesions again
    because another scan was corrected, or came. Done again with the same results it changes
    nothing.

    Args:
        patient: whose scans were measured; nobody else brings any of them meanwhile.
        disease: whose lesions they are.
        results: of `covidlit quantify`.
        folder: that it has written.
        corrections: those that labels are of, by scan_id.
    """
    labelled_by = results.scans.set_index("scan_id")["labelled_by"]
    for row in _plain(results.factors):
        scan = Scan.objects.get(patient=patient, scan_id=row["scan_id"])
        factors = {name: value for name, value in row.items() if name not in _IDS}
        own = results.lesions[results.lesions["scan_id"] == scan.scan_id]
        changes = _plain(results.changes[results.changes["scan_after"] == scan.scan_id])
        newest = newest_labelling(scan, disease.name)
        name = str(labelled_by[scan.scan_id])
        correction = corrections.get(scan.scan_id)
        if (
            newest is not None
            and newest.labelled_by == name
            and (correction is None or correction.labelling_id == newest.pk)
            and (newest.factors == factors or _is_drawn_alike(folder / "labels", newest))
        ):
            if (newest.factors, newest.changes) != (factors, changes):
                _follow(newest, factors, changes, own, folder / OBJECTS / scan.scan_id)
            continue
        version = (scan.labellings.aggregate(last=Max("version"))["last"] or 0) + 1
        place = f"{patient.pseudonym}/{VERSIONS}/{scan.scan_id}/{version}"
        planes = _write_planes(folder / "labels", scan, settings.FOLDER.results / place)
        keep_objects(folder / OBJECTS / scan.scan_id, settings.FOLDER.results / place)
        with transaction.atomic():
            labelling = Labelling.objects.create(
                scan=scan,
                disease=disease.name,
                version=version,
                labelled_by=name,
                corrected_by=correction.by if correction else None,
                corrects=correction.corrects if correction else None,
                folder=place,
                factors=factors,
                changes=changes,
            )
            Lesion.objects.bulk_create(
                Lesion(
                    labelling=labelling, number=lesion["lesion_id"], kind=lesion["class_name"],
                    slice_index=planes[lesion["lesion_id"]],
                    factors={n: v for n, v in lesion.items() if n not in _IDS},
                )
                for lesion in _plain(own)
            )  # fmt: skip
            if correction is not None:
                correction.labelling = labelling
                correction.save(update_fields=["labelling"])


def _is_drawn_alike(labels: Path, newest: Labelling) -> bool:
    """Whether the labels that were measured are those of a version, voxel by voxel."""
    known = Planes(label_planes(newest))
    classes, instances = (read_volume(p)[0] for p in label_paths(labels, newest.scan.scan_id))
    if len(known) != len(classes):
        return False
    for index in range(len(known)):
        old = known.plane(index)
        if not (
            np.array_equal(old[0], classes[index]) and np.array_equal(old[1], instances[index])
        ):
            return False
    return True


def _follow(
    newest: Labelling,
    factors: dict[str, Any],
    changes: list[dict[str, Any]],
    lesions: pd.DataFrame,
    objects: Path,
) -> None:
    """Let a version have what its lesions are beside those of the scan before."""
    keep_objects(objects, settings.FOLDER.results / newest.folder)
    with transaction.atomic():
        newest.factors, newest.changes = factors, changes
        newest.save(update_fields=["factors", "changes"])
        known = {lesion.number: lesion for lesion in newest.lesions.all()}
        for row in _plain(lesions):
            lesion = known[row["lesion_id"]]
            lesion.factors = {name: value for name, value in row.items() if name not in _IDS}
        Lesion.objects.bulk_update(known.values(), ["factors"])


def _write_planes(labels: Path, scan: Scan, folder: Path) -> dict[int, int]:
    """Write what slices are drawn from; the plane in which most of each lesion lies."""
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was lost
    folder.mkdir(parents=True)
    classes, instances = (read_volume(path)[0] for path in label_paths(labels, scan.scan_id))
    write_label_planes(classes.astype("uint8"), instances.astype("int32"), folder / LABEL_PLANES)
    most: dict[int, tuple[int, int]] = {}
    for index, plane in enumerate(instances):
        numbers, counts = np.unique(plane[plane > 0], return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            if count > most.get(number, (0, 0))[0]:
                most[number] = (count, index)
    return {number: index for number, (_, index) in most.items()}


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: undefined values are null, which databases take and NaN not."""
    found: list[dict[str, Any]] = json.loads(table.to_json(orient="records", date_format="iso"))
    return found
