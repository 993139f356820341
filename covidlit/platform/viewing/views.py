"""The pages of patients and scans."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from covidlit.cohort.factor_definitions import DEFINITIONS
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.measuring.bring import PLANES
from covidlit.platform.registry.models import Identity, Labelling, Patient, Scan
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.viewing.drawing import WINDOWS, draw
from covidlit.platform.viewing.planes import Planes
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.trend import trend_of

PER_PAGE = 50


@require_GET
@page(Right.VIEW)
def patients(request: HttpRequest) -> HttpResponse:
    """The patients that one may see, by pseudonym, with how many scans and of when."""
    search = request.GET.get("search", "").strip()[:64]
    rows = Patient.objects.seen_by(person(request), Right.VIEW).select_related("centre")
    if search:
        rows = rows.filter(pseudonym__istartswith=search)
    # Counted for the rows of this page alone: the page takes as long for many patients as for few.
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    counted = Patient.objects.filter(pk__in=[each.pk for each in shown]).annotate(
        n_scans=Count("scans"), latest=Max("scans__acquired_on")
    )
    facts = {each.pk: each for each in counted}
    return render(
        request,
        "patients.html",
        {"shown": shown, "search": search, "rows": [(p, facts[p.pk]) for p in shown]},
    )


@require_GET
@page(Right.VIEW)
def patient(request: HttpRequest, pseudonym: str) -> HttpResponse:
    """A patient: scans, factors and their trend; who it is with the right to know alone."""
    user = person(request)
    found = one_seen_by(
        Patient.objects.select_related("centre"), user, Right.VIEW, pseudonym=pseudonym
    )
    looked_at(request, f"patient {pseudonym}", found)
    identity = Identity.objects.seen_by(user, Right.IDENTIFY).filter(patient=found).first()
    if identity is not None:
        looked_at(request, f"identity of {pseudonym}", found)
    scans = list(found.scans.all())
    newest = newest_labellings(scans)
    return render(
        request,
        "patient.html",
        {
            "patient": found,
            "identity": identity,
            "rows": [(each, newest.get(each.pk)) for each in scans],
            "factors": [
                (about, [_shown(newest.get(each.pk), about.column) for each in scans])
                for about in DEFINITIONS
            ],
            "scans": scans,
            "trend": trend_of([(each, newest.get(each.pk)) for each in scans]),
        },
    )


@require_GET
@page(Right.VIEW)
def scan(request: HttpRequest, pk: int) -> HttpResponse:
    """A scan: its slices with the outlines, its lesions and factors, the scan before beside it."""
    user = person(request)
    found = one_seen_by(Scan.objects.select_related("patient__centre"), user, Right.VIEW, pk=pk)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    labelling = found.labellings.first()
    lesions = list(labelling.lesions.all()) if labelling else []
    others = [each for each in found.patient.scans.all() if each.pk != found.pk]
    return render(
        request,
        "scan.html",
        {
            "scan": found,
            "labelling": labelling,
            "lesions": lesions,
            "others": others,
            "has_objects": labelling is not None and bool(objects_of(labelling)),
            "outward": [
                right.name.lower()
                for right in (Right.SEND, Right.IDENTIFY)
                if Scan.objects.seen_by(user, right).filter(pk=found.pk).exists()
            ],
            "windows": list(WINDOWS),
            "first": found.n_slices // 2,
            "factors": [
                (about, _shown(labelling, about.column)) for about in DEFINITIONS if labelling
            ],
        },
    )


@require_GET
@page(Right.VIEW)
def slice_picture(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """One slice as PNG, drawn by the server."""
    found = one_seen_by(
        Scan.objects.select_related("patient__centre"), person(request), Right.VIEW, pk=pk
    )
    window = request.GET.get("window", "lung")
    number = request.GET.get("lesion", "")
    if index >= found.n_slices or window not in WINDOWS or not (number.isdecimal() or not number):
        raise Http404
    looked_at(request, f"scan {found.scan_id}", found.patient)
    volume = Planes(settings.FOLDER.scans / found.folder / "planes.zip")
    both: Any = (None, None)
    labelling = found.labellings.first() if request.GET.get("labels", "1") == "1" else None
    if labelling is not None:
        both = Planes(settings.FOLDER.results / labelling.folder / PLANES).plane(index)
    picture = draw(
        volume.plane(index), volume.spacing, window, both[0], both[1],
        int(number[:9]) if number else None,
    )  # fmt: skip
    response = HttpResponse(picture, content_type="image/png")
    # The browser keeps it while the address is the same, and nobody between keeps it at all.
    response["Cache-Control"] = "private, max-age=60"
    return response


def newest_labellings(scans: list[Scan]) -> dict[int, Labelling]:
    """The newest labelling of each scan, by its key."""
    found: dict[int, Labelling] = {}
    for each in Labelling.objects.filter(scan__in=scans).order_by("version"):
        found[each.scan_id] = each
    return found


def _shown(labelling: Labelling | None, name: str) -> str:
    value = labelling.factors.get(name) if labelling else None
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:,.4g}"
