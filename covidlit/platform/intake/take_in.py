"""The job that takes an upload in: series told apart, each refused with its reason or stored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from covidlit.cohort.pseudonyms import Pseudonyms, read_or_make_key
from covidlit.cohort.scan_sources import ScanSource, find_scans, refusal_reason
from covidlit.dicom import Checks, Series
from covidlit.dicom.facts import metadata_of
from covidlit.dicom.other_objects import OtherObject
from covidlit.errors import CovidlitError
from covidlit.platform.accounts.places import places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.intake.archives import Budget, is_archive, unpack
from covidlit.platform.intake.models import RefusedSeries, Upload
from covidlit.platform.intake.receiving import UploadRefused, folder_of, remove_files
from covidlit.platform.intake.storing import Found, store
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.jobs.queue import enqueue

KEY_FILE = "pseudonyms.key"
KIND = "take in"
MEASURE = "measure"


def take_in(job: Job, say: Say) -> None:
    """Store what can be used of an upload, and have it measured.

    Done again it finds what is stored already, so a lost worker doubles nothing.

    Raises:
        CovidlitError: nothing of it could be read.
    """
    upload = Upload.objects.get(pk=job.arguments["upload"])
    if upload.job_id != job.pk:  # another job takes it in, with the files that are there
        return
    files = folder_of(upload) / "files"
    if not files.is_dir():
        if upload.n_taken or upload.n_known or upload.refused.exists():
            remove_files(upload)  # its worker was lost on the way
            return
        raise UploadRefused(
            "its files are no longer here.", where=str(upload), fix="upload them again."
        )
    if (upload.centre, upload.study_group) not in places_with(upload.owner, Right.UPLOAD):
        raise UploadRefused(
            f"{upload.owner} may not bring scans in there any more.", where=str(upload),
            fix="have somebody upload them who may.",
        )  # fmt: skip
    refused: list[tuple[str, str]] = []
    say("unpacking", 0.0)
    packed: list[Path] = []
    places = [files, *_unpacked(files, folder_of(upload) / "unpacked", refused, packed)]
    stored: list[Found] = []
    sources = [(place, source) for place in places for source in _sources(place, refused, packed)]
    for number, (place, source) in enumerate(sources):
        say(f"series {number + 1} of {len(sources)}", number / len(sources))
        try:
            stored.append(_stored(upload, source))
        except Exception as error:  # one series must not keep the others out
            refused.append((_said_place(place, source), refusal_reason(error)))
    with transaction.atomic():
        upload.refused.all().delete()
        RefusedSeries.objects.bulk_create(
            RefusedSeries(upload=upload, place=place[:300], reason=reason.replace("\0", ""))
            for place, reason in refused
        )
        upload.n_taken = sum(each.is_new for each in stored)
        upload.n_known = len(stored) - upload.n_taken
        upload.save(update_fields=["n_taken", "n_known"])
        patients = dict.fromkeys(each.scan.patient for each in stored)
        for number, patient in enumerate(patients):
            enqueue(
                MEASURE, upload.owner, upload.centre, upload.study_group, place=number,
                patient=patient.pk,
            )  # fmt: skip
        record(
            upload.owner, "took in", str(upload), str(upload.centre),
            {"new": upload.n_taken, "known": upload.n_known, "refused": len(refused)},
        )  # fmt: skip
    remove_files(upload)


def _unpacked(
    files: Path, folder: Path, refused: list[tuple[str, str]], packed: list[Path]
) -> Iterator[Path]:
    """Folders of what the archives among the files hold; `packed` gets the archives."""
    limits = settings.FOLDER.settings.uploads
    budget = Budget(round(limits.max_gib * 2**30), limits.max_files)
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was lost
    for number, path in enumerate(sorted(each for each in files.rglob("*") if each.is_file())):
        if not is_archive(path):
            continue
        packed.append(path)
        own = folder / str(number)
        try:
            own.mkdir(parents=True)
            unpack(path, own, budget)
            yield own
        except UploadRefused as error:
            refused.append((str(path.relative_to(files)), str(error)))


def _sources(place: Path, refused: list[tuple[str, str]], packed: list[Path]) -> list[ScanSource]:
    others: list[OtherObject] = []
    try:
        found = find_scans(place, Checks(), others)
    except CovidlitError:
        found = []
    told = [(source.path, source.reason) for source in found if source.read is None]
    told += [(other.path, f"a {other.kind}, and no scan.") for other in others]
    refused += [each for each in told if place / each[0] not in packed]
    files = [each for each in place.rglob("*") if each.is_file() and each not in packed]
    if files and not found and not told:
        refused.append((place.name, f"{len(files)} file(s), none of them a CT scan."))
    return [source for source in found if source.read is not None]


def _said_place(place: Path, source: ScanSource) -> str:
    return source.path or place.name


def _stored(upload: Upload, source: ScanSource) -> Found:
    if source.series is None or source.read is None:
        raise UploadRefused(
            "an image without DICOM headers does not say whose it is.", where=source.path,
            fix="upload the DICOM series.",
        )  # fmt: skip
    series = source.series()
    raw = series.images[0].patient_id.strip()
    if not raw:
        raise UploadRefused(
            "its headers hold no PatientID.", where=source.path,
            fix="write one into the series: without it nobody knows whose scans belong together.",
        )  # fmt: skip
    key = read_or_make_key(settings.FOLDER.root / KEY_FILE)
    # Patients are numbered by their hospital: the same number elsewhere is another person.
    pseudonym = Pseudonyms(key).patient(f"{upload.centre.name} {raw}")
    facts = metadata_of(series)
    day: Any = None if facts["acquisition_date_moved"] else facts["acquisition_date"]
    return store(upload, source.scan_id, source.read(), _files(series), pseudonym, raw, day)


def _files(series: Series) -> list[Path]:
    return sorted({image.path for image in series.images})
