"""A scan put into its place, once: its files, then its row."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from pydicom import dcmread

from covidlit.dicom.parse import check_inflated
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import UploadRefused, waiting_of
from covidlit.platform.registry.files import DICOM, SCAN_PLANES, source_files
from covidlit.platform.registry.models import Identity, Patient, Scan
from covidlit.platform.viewing.planes import write_planes
from covidlit.process import memory_limit
from covidlit.scans.scan import Scan as Volume

_INFLATED = 4
"""How many deflated files of the largest size fit into the memory that a scan may claim."""


class Found(NamedTuple):
    """A scan that is stored.

    Args:
        scan: its row.
        is_new: whether it was not before.
    """

    scan: Scan
    is_new: bool


def store(
    upload: Upload,
    scan_id: str,
    volume: Volume,
    files: Sequence[Path],
    pseudonym: str,
    hospital_id: str,
    acquired_on: date | None,
) -> Found:
    """Keep a scan, unless it is here already; then its patient joins the upload's study group.

    The files are in place before the row is there, so that a row never leads nowhere; files
    without a row are those of an attempt that was lost, and are written over.
    """
    _check_length(hospital_id, scan_id)
    for path in files:  # before pydicom reads any, here and wherever they are looked at later
        check_inflated(path, memory_limit() // _INFLATED)
    who = _who(files[0])
    own = Scan.objects.filter(patient__pseudonym=pseudonym, scan_id=scan_id)
    _check_person(upload, pseudonym, who)
    if (known := own.select_related("patient").first()) is not None:
        return _joined(known, upload, files, volume)
    folder = f"{pseudonym}/{scan_id}"
    with _written(files, volume, waiting_of(upload)) as waiting:
        try:
            with transaction.atomic():
                patient, new = Patient.objects.get_or_create(
                    pseudonym=pseudonym, defaults={"centre": upload.centre}
                )
                if new:
                    Identity.objects.create(patient=patient, hospital_id=hospital_id, **who)
                else:  # perhaps since it was asked first, by another upload
                    _check_person(upload, pseudonym, who)
                _join(patient, upload)
                scan = Scan.objects.create(
                    patient=patient, scan_id=scan_id, acquired_on=acquired_on,
                    n_slices=len(volume.hu), spacing_mm=[round(mm, 4) for mm in volume.spacing],
                    n_files=len(files), folder=folder, notes="\n".join(volume.notes),
                )  # fmt: skip
                # Of two at a time one comes so far, and nobody's files go over a row's.
                _put(waiting, settings.FOLDER.scans / folder)
        except IntegrityError:  # another job has stored it in the meantime
            _check_person(upload, pseudonym, who)
            return _joined(own.select_related("patient").get(), upload, files, volume)
    return Found(scan, is_new=True)


def _joined(known: Scan, upload: Upload, files: Sequence[Path], volume: Volume) -> Found:
    """A scan that is here, whose patient is now in the upload's study group."""
    _check_same(known, files, len(volume.hu))
    _join(known.patient, upload)
    return Found(known, is_new=False)


def _check_same(known: Scan, files: Sequence[Path], n_slices: int) -> None:
    """Refuse another part of a series that is here: its slices would be dropped without a word."""
    fix = "a scan is not written over: have an administrator look which one is whole."
    if known.n_slices != n_slices:
        raise UploadRefused(
            f"it is here with {known.n_slices} slices, and has {n_slices} now.",
            where=known.scan_id, fix=fix,
        )  # fmt: skip
    if known.n_files and _uids(files) != _uids(source_files(known).glob("*.dcm")):
        raise UploadRefused("it is here with other slices.", where=known.scan_id, fix=fix)


def _uids(files: Iterable[Path]) -> set[str]:
    tags = ["SOPInstanceUID"]
    headers = (dcmread(path, stop_before_pixels=True, specific_tags=tags) for path in files)
    return {str(header.get("SOPInstanceUID", "")) for header in headers}


def _check_length(hospital_id: str, scan_id: str) -> None:
    """Refuse identifiers that the database cannot hold; cut off, two would become one."""
    for model, field, words, value in (
        (Identity, "hospital_id", "PatientID", hospital_id), (Scan, "scan_id", "name", scan_id),
    ):  # fmt: skip
        most = model._meta.get_field(field).max_length
        if len(value) > most:
            raise UploadRefused(
                f"its {words} has {len(value)} characters.", where=scan_id[:40],
                fix=f"give it one of at most {most}.",
            )  # fmt: skip


def _check_person(upload: Upload, pseudonym: str, who: dict[str, Any]) -> None:
    """Refuse a scan for a patient whom the uploader may not see, or who is somebody else.

    Otherwise anybody could open a patient by a file with his number, or mix two persons.
    """
    patient = Patient.objects.filter(pseudonym=pseudonym).first()
    if patient is None:
        return
    own = Patient.objects.seen_by(upload.owner, Right.UPLOAD).filter(pk=patient.pk).exists()
    if not own and not patient.study_groups.filter(pk=upload.study_group_id).exists():
        raise UploadRefused(
            "its PatientID is one that another study group of this centre has.",
            where="PatientID",
            fix="have somebody upload it who works for that study group too.",
        )
    known = Identity.objects.get(patient=patient)
    for field, words in (("name", "PatientName"), ("birth_date", "PatientBirthDate")):
        before, now = getattr(known, field), who[field]
        if before and now and before != now:
            raise UploadRefused(
                f"its {words} is another one than that of the earlier scans of this PatientID.",
                where=pseudonym,
                fix="find out which number is wrong, and mend it at the source.",
            )


def _join(patient: Patient, upload: Upload) -> None:
    """Let the patient be in the upload's study group too."""
    if not patient.study_groups.filter(pk=upload.study_group_id).exists():
        patient.study_groups.add(upload.study_group)
        record(
            upload.owner, "put into a study group", f"patient {patient.pseudonym}",
            upload.centre.name, {"study_group": upload.study_group.name},
        )  # fmt: skip


def file_name(number: int) -> str:
    """Of a file of a scan, by its place in the scan, from 1."""
    return f"{number:05d}.dcm"


@contextmanager
def _written(files: Sequence[Path], volume: Volume, room: Path) -> Iterator[Path]:
    """A folder with the files and the planes to look at, which goes where nobody moves it."""
    waiting = room / secrets.token_hex(6)
    try:
        (waiting / DICOM).mkdir(parents=True)
        for number, path in enumerate(files, start=1):
            shutil.copyfile(path, waiting / DICOM / file_name(number))
        write_planes(volume, waiting / SCAN_PLANES)
        yield waiting
    finally:
        shutil.rmtree(waiting, ignore_errors=True)


def _put(waiting: Path, folder: Path) -> None:
    """A folder in its place, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    waiting.rename(folder)


def _who(file: Path) -> dict[str, Any]:
    header = dcmread(
        file, stop_before_pixels=True, specific_tags=["PatientName", "PatientBirthDate"]
    )
    born = str(header.get("PatientBirthDate") or "")
    try:
        day = date(int(born[:4]), int(born[4:6]), int(born[6:8])) if len(born) == 8 else None
    except ValueError:
        day = None
    return {"name": str(header.get("PatientName") or "")[:200], "birth_date": day}
