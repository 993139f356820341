"""The pages of clinical tables."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePath

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.places import places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.audit.trail import record
from covidlit.platform.clinical.mappings import known_mappings
from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.clinical.read_table import KIND, measure_again, place_for
from covidlit.platform.intake.receiving import UploadRefused, safe_place
from covidlit.platform.jobs.models import OPEN
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.registry.models import Patient

PER_PAGE = 50
SUFFIXES = (".csv", ".xlsx", ".parquet")


@require_GET
@page(Right.UPLOAD)
def tables(request: HttpRequest) -> HttpResponse:
    """Tables of the scopes in which one may upload, and a form for a new one."""
    rows = ClinicalTable.objects.seen_by(person(request), Right.UPLOAD)
    rows = rows.select_related("owner", "centre", "study_group", "job")
    places = places_with(person(request), Right.UPLOAD)
    return render(
        request,
        "clinical_tables.html",
        {
            "shown": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
            "centres": list(dict.fromkeys(centre for centre, _ in places)),
            "study_groups": list(dict.fromkeys(group for _, group in places)),
            "mappings": known_mappings(),
        },
    )


@require_POST
@page(Right.UPLOAD)
def add_table(request: HttpRequest) -> HttpResponse:
    """A new table, for a centre and a study group in which one may; a job reads it."""
    wanted = (request.POST.get("centre", ""), request.POST.get("study_group", ""))
    places = places_with(person(request), Right.UPLOAD)
    found = [(c, g) for c, g in places if (c.name, g.name) == wanted]
    if not found:
        raise PermissionDenied
    mapping = request.POST.get("mapping", "")
    main, others = request.FILES.get("table"), request.FILES.getlist("patients")
    try:
        _check(main, mapping)
        _check_open(person(request))
        assert main is not None
        with transaction.atomic():
            table = ClinicalTable.objects.create(
                owner=person(request), centre=found[0][0], study_group=found[0][1], mapping=mapping
            )
            record(person(request), "brought in", str(table), str(table.centre))
            _keep(table, main, others)
            table.job = enqueue(
                KIND, table.owner, table.centre, table.study_group, clinical_table=table.pk
            )
            table.save(update_fields=["job"])
    except UploadRefused as error:
        messages.error(request, str(error))
        return redirect("clinical_tables")
    return redirect("clinical_table", pk=table.pk)


@require_GET
@page(Right.UPLOAD)
def table(request: HttpRequest, pk: int) -> HttpResponse:
    """What of a table was taken; what its reader says of it for its owner alone."""
    found = one_seen_by(ClinicalTable.objects.all(), person(request), Right.UPLOAD, pk=pk)
    own = found.owner_id == person(request).pk
    return render(request, "clinical_table.html", {"table": found, "is_own": own})


@require_POST
@page(Right.UPLOAD)
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a table count no more, as one with wrong values: what it says is kept, and not used."""
    found = one_seen_by(ClinicalTable.objects.all(), person(request), Right.UPLOAD, pk=pk)
    if found.job is None or not found.job.is_over:
        raise Http404
    with transaction.atomic():
        own = ClinicalTable.objects.filter(pk=pk, withdrawn_at=None)
        if own.update(withdrawn_at=timezone.now(), withdrawn_by=person(request)):
            record(person(request), "withdrew", str(found), str(found.centre))
            measure_again(found, set(Patient.objects.filter(clinical_rows__table=found)))
    return redirect("clinical_table", pk=pk)


def _check(main: UploadedFile | None, mapping: str) -> None:
    if main is None:
        raise UploadRefused("no file was sent.", where="table", fix="choose one.")
    if PurePath(main.name or "").suffix.lower() not in SUFFIXES:
        raise UploadRefused(
            "it is no table.", where="table", fix=f"choose a file of {', '.join(SUFFIXES)}."
        )
    if mapping and mapping not in known_mappings():
        raise UploadRefused("there is no such mapping.", where="mapping", fix="choose one of them.")


def _check_open(user: User) -> None:
    """Refuse more tables at a time than uploads: each lies on the disk until it is read."""
    most = settings.FOLDER.settings.uploads.max_open
    if ClinicalTable.objects.filter(owner=user, job__state__in=OPEN).count() >= most:
        raise UploadRefused(
            f"{most} of your tables wait to be read.", where="clinical tables",
            fix="wait until they are ([uploads] max_open in platform.toml is the limit).",
        )  # fmt: skip


def _keep(table: ClinicalTable, main: UploadedFile, others: list[UploadedFile]) -> None:
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
