"""The manifest of graded scans (contracts 2 and 11), for the training commands to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from django.db import transaction

from covidlit.cohort.manifest import validate_manifest, write_manifest
from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.grading.forms import OTHER
from covidlit.platform.grading.models import Grade
from covidlit.platform.grading.standing import Standing, standings
from covidlit.platform.grading.waiting import hidden_from
from covidlit.platform.registry.files import DICOM
from covidlit.platform.registry.models import Patient, Scan
from covidlit.tables import check_own_table

COLUMNS = (
    "patient_id", "scan_id", "path", "centre", "acquisition_date", "n_slices", "class_name",
    "severity", "quality_grade", "label_status", "grader_1", "grader_2", "graded_by_1",
    "graded_by_2", "graded_at", "label_version", "status", "reason", "original_id",
)  # fmt: skip


def manifest_of(
    shown: Sequence[Standing], root: Path | None = None, hidden: Collection[int] = ()
) -> pd.DataFrame:
    """A row for each scan, also for those that are excluded or wait for a grade.

    `grader_1` and `grader_2` are what the two said, which `inclusion.graders_agree` compares;
    `graded_by_1` and `graded_by_2` are who they are. An excluded scan has the status "refused",
    its reason, and no class.

    Args:
        shown: the scans, with their patients and centres.
        root: the platform's folder of scans; None: paths start from it, wherever it is.
        hidden: keys of scans whose grades are not told.

    Raises:
        ManifestError: a name that contract 2 does not take.
    """
    # A series that two centres have is a scan of either: one table needs a name for each.
    ids = Counter(each.scan.scan_id for each in shown)
    rows = []
    for each in shown:
        scan, is_hidden = each.scan, each.scan.pk in hidden
        row = {
            "patient_id": scan.patient.pseudonym,
            "scan_id": scan.scan_id,
            "path": f"{scan.folder}/{DICOM}" if root is None else str(root / scan.folder / DICOM),
            "centre": scan.patient.centre.name,
            "acquisition_date": scan.acquired_on.isoformat() if scan.acquired_on else None,
            "n_slices": scan.n_slices,
            "label_status": each.state.value,
            "status": "ok",
        }
        if ids[scan.scan_id] > 1:
            row |= {"scan_id": f"{scan.scan_id}.{scan.patient.pseudonym}",
                    "original_id": scan.scan_id}  # fmt: skip
        rows.append(row if is_hidden else row | _graded(each))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if not ids or max(ids.values()) == 1:
        table = table.drop(columns="original_id")
    table["label_version"] = table["label_version"].astype("Int64")
    if rows:
        validate_manifest(table, "manifest of the platform")
    return table


def manifest_for(user: User, disease: str) -> pd.DataFrame:
    """The manifest of a disease's scans that a person may export; it is in the audit trail.

    Raises:
        ManifestError: see `manifest_of`.
    """
    scans = Scan.objects.seen_by(user, Right.EXPORT, disease).select_related("patient__centre")
    hidden = set(hidden_from(user, disease).values_list("pk", flat=True))
    table = manifest_of(standings(scans, disease), hidden=hidden)
    _note(user, table, disease)
    return table


def write_graded_manifest(root: Path, out: Path, disease: str) -> tuple[Path, int]:
    """Write the manifest of all scans of a disease, over an earlier one at most; path and scans.

    Args:
        root: the platform's folder of scans.
        out: `.csv` or `.parquet`.
        disease: name of it; scans of patients whom a study group follows for it.

    Raises:
        CovidlitError: it cannot be written there, or there is no scan.
    """
    check_own_table(out, COLUMNS[:-1], "covidlit platform export-manifest")
    members = Patient.objects.filter(study_groups__disease=disease)
    scans = Scan.objects.filter(patient__in=members).select_related("patient__centre")
    table = manifest_of(standings(scans, disease), root)
    if table.empty:
        raise CovidlitError(
            f"there is no scan of {disease} yet.", where=root, fix="upload some first."
        )
    with transaction.atomic():
        _note(None, table, disease)
        path = write_manifest(table, out)
    return path, len(table)


def _note(who: User | None, table: pd.DataFrame, disease: str) -> None:
    for centre, n in sorted(Counter(table["centre"]).items()):
        record(who, "exported", f"manifest of {n} scans", centre, {"disease": disease})


def _graded(standing: Standing) -> dict[str, Any]:
    """The columns of the grade that holds."""
    first, second, current = standing.first, standing.second, standing.current
    if current is None:
        return {}
    return {
        "class_name": current.class_name,
        "severity": current.severity,
        "quality_grade": current.quality_grade,
        "grader_1": first.grade if first else "",
        "grader_2": second.grade if second else "",
        "graded_by_1": first.grader.username if first else "",
        "graded_by_2": second.grader.username if second else "",
        "graded_at": current.made_at.isoformat(timespec="seconds"),
        "label_version": current.labelling.version if current.labelling else None,
        "status": "refused" if current.is_excluded else "ok",
        "reason": _reason(current),
    }


def _reason(grade: Grade) -> str:
    return grade.comment if grade.reason == OTHER else grade.reason
