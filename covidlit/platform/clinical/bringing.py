"""Clinical tables brought in and withdrawn, as pages and the API do."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.places import place_named
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.clinical.mappings import known_mappings
from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.clinical.read_table import KIND, measure_again, place_for
from covidlit.platform.intake.receiving import UploadRefused, safe_place
from covidlit.platform.jobs.models import OPEN
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.registry.models import Patient

SUFFIXES = (".csv", ".xlsx", ".parquet")


def bring_table(
    user: User,
    centre: str,
    study_group: str,
    mapping: str,
    main: UploadedFile | None,
    others: Sequence[UploadedFile] = (),
) -> ClinicalTable:
    """A new table, which a job reads.

    Args:
        user: brings it in.
        centre, study_group: whose patients it tells of.
        mapping: of `known_mappings`; empty: contract 9.
        main: the table; None: none was sent.
        others: files that its mapping names.

    Raises:
        PermissionDenied: the person may not bring anything in there, or there is no such place.
        UploadRefused: there is no table, or it cannot be taken.
    """
    place = place_named(user, Right.UPLOAD, centre, study_group)
    file = _checked(main, mapping)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # of two at once one waits here
        _check_open(user)
        table = ClinicalTable.objects.create(
            owner=user, centre=place[0], study_group=place[1], mapping=mapping
        )
        record(user, "brought in", str(table), centre)
        _keep(table, file, others)
        table.job = enqueue(KIND, user, *place, clinical_table=table.pk)
        table.save(update_fields=["job"])
    return table


def withdraw_table(table: ClinicalTable, user: User) -> bool:
    """Let a table count no more; what it says is kept, and not used. Said twice it is once.

    Returns:
        False while it is being read.
    """
    if table.job is None or not table.job.is_over:
        return False
    with transaction.atomic():
        own = ClinicalTable.objects.filter(pk=table.pk, withdrawn_at=None)
        if own.update(withdrawn_at=timezone.now(), withdrawn_by=user):
            record(user, "withdrew", str(table), str(table.centre))
            measure_again(table, set(Patient.objects.filter(clinical_rows__table=table)))
    return True


def _checked(main: UploadedFile | None, mapping: str) -> UploadedFile:
    if main is None:
        raise UploadRefused("no file was sent.", where="table", fix="choose one.")
    if PurePath(main.name or "").suffix.lower() not in SUFFIXES:
        raise UploadRefused(
            "it is no table.", where="table", fix=f"choose a file of {', '.join(SUFFIXES)}."
        )
    if mapping and mapping not in known_mappings():
        raise UploadRefused("there is no such mapping.", where="mapping", fix="choose one of them.")
    return main


def _check_open(user: User) -> None:
    """Refuse more tables at a time than uploads: each lies on the disk until it is read."""
    most = settings.FOLDER.settings.uploads.max_open
    if ClinicalTable.objects.filter(owner=user, job__state__in=OPEN).count() >= most:
        raise UploadRefused(
            f"{most} of your tables wait to be read.", where="clinical tables",
            fix="wait until they are ([uploads] max_open in platform.toml is the limit).",
        )  # fmt: skip


def _keep(table: ClinicalTable, main: UploadedFile, others: Sequence[UploadedFile]) -> None:
    """The files where the job finds them: the table, and those that its mapping names beside it."""
    place = place_for(table, PurePath(main.name or "").suffix.lower())
    try:
        _write(main, place)
        for file in others:
            _write(file, safe_place(place.parent, PurePath(file.name or "").name))
    except FileExistsError as error:
        shutil.rmtree(place.parent)
        raise UploadRefused(
            "two files have one name.", where="files", fix="rename one, in the mapping too."
        ) from error


def _write(file: UploadedFile, place: Path) -> None:
    with place.open("xb") as kept:
        for chunk in file.chunks():
            kept.write(chunk)
