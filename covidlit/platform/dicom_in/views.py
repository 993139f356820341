"""The page on which scans of an archive are searched, and fetched."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.places import Place, choices_of, place_named, places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.dicom_in.fetch import KIND, fetching_archives, may_fetch
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.tidying import too_many_open
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.pacs.settings import DicomwebArchive
from covidlit.platform.pacs.wado import UID, find_series
from covidlit.platform.pacs.web import Web

MOST_SERIES = 50
LONGEST_SEARCH = 20.0
"""Seconds that a search may take with all its requests, while a page waits for it."""


@require_GET
@page(Right.IDENTIFY)
def fetch(request: HttpRequest) -> HttpResponse:
    """A form to search an archive by the number of a patient."""
    return render(request, "fetch.html", _choices(request))


@require_POST
@page(Right.IDENTIFY)
def search(request: HttpRequest) -> HttpResponse:
    """The series that an archive has of a patient; by POST, lest numbers stand in addresses."""
    centre, group, archive = _chosen(request)
    patient_id = request.POST.get("patient_id", "").strip()
    days = _days(request)
    shown: dict[str, Any] = {
        **_choices(request), "centre": centre, "study_group": group, "archive": archive,
        "patient_id": patient_id, "first": request.POST.get("first", ""),
        "last": request.POST.get("last", ""),
        "every_modality": request.POST.get("every_modality") == "1",
    }  # fmt: skip
    if not patient_id or len(patient_id) > 64 or set(patient_id) & set("*?\\"):
        messages.error(request, "Give the whole number of one patient, without * and ?.")
    elif days is None:
        messages.error(request, "Give days as 2020-03-01.")
    else:
        try:
            shown["series"] = _found(archive, patient_id, days, bool(shown["every_modality"]))
        except CovidlitError as error:
            messages.error(request, str(error))
        record(person(request), "searched an archive", archive.name, centre.name)
    return render(request, "fetch.html", shown)


@require_POST
@page(Right.IDENTIFY)
def begin(request: HttpRequest) -> HttpResponse:
    """Have the chosen series fetched into a new upload."""
    centre, group, archive = _chosen(request)
    chosen = [each.split("/") for each in dict.fromkeys(request.POST.getlist("series"))]
    right = all(
        len(each) == 2 and all(UID.fullmatch(uid) and len(uid) <= 64 for uid in each)
        for each in chosen
    )
    if not chosen or not right or len(chosen) > MOST_SERIES:
        messages.error(request, f"Choose 1 to {MOST_SERIES} series.")
        return redirect("fetch")
    if why := too_many_open(person(request)):
        messages.error(request, why)
        return redirect("fetch")
    with transaction.atomic():
        upload = Upload.objects.create(
            owner=person(request), centre=centre, study_group=group, finished_at=timezone.now()
        )
        upload.job = enqueue(
            KIND, person(request), centre, group,
            upload=upload.pk, archive=archive.name, address=archive.address, series=chosen,
        )  # fmt: skip
        upload.save(update_fields=["job"])
        record(
            person(request), "asked to fetch", str(upload), centre.name,
            {"archive": archive.name, "series": len(chosen)},
        )  # fmt: skip
    return redirect("upload", pk=upload.pk)


def _found(archive: DicomwebArchive, patient_id: str, days: str, every_modality: bool) -> Any:
    with Web(archive, LONGEST_SEARCH) as web:
        series = find_series(web, patient_id, days)
    return [each for each in series if every_modality or each.modality == "CT"]


def _days(request: HttpRequest) -> str | None:
    """The days of a search as DICOM has them; None where they are none."""
    given = [request.POST.get(name, "").strip() for name in ("first", "last")]
    try:
        days = [date.fromisoformat(each).strftime("%Y%m%d") if each else "" for each in given]
    except ValueError:
        return None
    return days[0] if days[0] == days[1] else "-".join(days)


def _places(request: HttpRequest) -> list[Place]:
    known = places_with(person(request), Right.IDENTIFY)
    return [place for place in places_with(person(request), Right.UPLOAD) if place in known]


def _choices(request: HttpRequest) -> dict[str, Any]:
    choices = choices_of(_places(request))
    archives = [each for centre in choices["centres"] for each in fetching_archives(centre)]
    return {**choices, "archives": list(dict.fromkeys(archives))}


def _chosen(request: HttpRequest) -> tuple[Centre, StudyGroup, DicomwebArchive]:
    """Where to and where from, as far as the person may.

    Raises:
        PermissionDenied: he may not, or there is no such thing.
    """
    sent = request.POST
    centre, group = place_named(
        person(request), Right.UPLOAD, sent.get("centre", ""), sent.get("study_group", "")
    )
    if not may_fetch(person(request), centre, group):
        raise PermissionDenied
    name = request.POST.get("archive", "")
    archive = next((each for each in fetching_archives(centre) if each.name == name), None)
    if archive is None:
        raise PermissionDenied
    return centre, group, archive
