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

from covidlit.platform.correcting.models import Correction
from covidlit.platform.registry.models import Labelling, Lesion, Patient, Scan
from covidlit.platform.sending.dicom_objects import keep_objects
from covidlit.platform.viewing.planes import write_label_planes
from covidlit.quantify.results import Results
from covidlit.quantify.scan import OBJECTS
from covidlit.scans.images import read_volume
from covidlit.scans.lesion_labels import label_paths

PLANES = "labels.zip"
_IDS = ("patient_id", "scan_id", "lesion_id")


def bring(
    patient: Patient, results: Results, folder: Path, corrections: Mapping[str, Correction]
) -> None:
    """Keep the factors and lesions of a patient's scans, each as its next version if it is new.

    Done again with the same results it changes nothing.

    Args:
        patient: whose scans were measured.
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
        newest = scan.labellings.first()
        name = str(labelled_by[scan.scan_id])
        correction = corrections.get(scan.scan_id)
        if (
            newest is not None
            and (newest.factors, newest.labelled_by) == (factors, name)
            and (correction is None or correction.labelling_id == newest.pk)
        ):
            if newest.changes != changes:  # a scan of before was added
                newest.changes = changes
                newest.save(update_fields=["changes"])
            continue
        version = newest.version + 1 if newest is not None else 1
        place = f"{patient.pseudonym}/versions/{scan.scan_id}/{version}"
        planes = _write_planes(folder / "labels", scan, settings.FOLDER.results / place)
        keep_objects(folder / OBJECTS / scan.scan_id, settings.FOLDER.results / place)
        with transaction.atomic():
            labelling = Labelling.objects.create(
                scan=scan,
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


def _write_planes(labels: Path, scan: Scan, folder: Path) -> dict[int, int]:
    """Write what slices are drawn from; the plane in which most of each lesion lies."""
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was lost
    folder.mkdir(parents=True)
    classes, instances = (read_volume(path)[0] for path in label_paths(labels, scan.scan_id))
    write_label_planes(classes.astype("uint8"), instances.astype("int32"), folder / PLANES)
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
