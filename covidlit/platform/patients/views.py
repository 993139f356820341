"""The pages of patients and scans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.lesions.report import DOCUMENT
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.clinical.models import SeverityScore
from covidlit.platform.clinical.shown import clinical_of, newest_scores, severity_of
from covidlit.platform.correcting.drafts import waiting_for
from covidlit.platform.grading.giving import levels_open_to
from covidlit.platform.grading.standing import standing_of, standings
from covidlit.platform.grading.waiting import hidden_from
from covidlit.platform.measuring.measure import refused
from covidlit.platform.patients.report import report_path
from covidlit.platform.registry.files import label_planes
from covidlit.platform.registry.followed import (
    chosen,
    diseases_seen,
    newest_labelling,
    newest_labellings,
)
from covidlit.platform.registry.models import Identity, Labelling, Patient, Scan
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.viewing.finding import find
from covidlit.platform.viewing.planes import AXES, AXIAL, Planes
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.shown import notes_for, scan_shown
from covidlit.platform.viewing.slices import labels_of_plane, picture_of, volume_of
from covidlit.platform.viewing.trend import courses_of, trend_of

PER_PAGE = 50


@require_GET
@page(Right.VIEW)
def patients(request: HttpRequest) -> HttpResponse:
    """The patients that one may see, by pseudonym, with how many scans and of when."""
    search = request.GET.get("search", "").strip()[:64]
    rows = Patient.objects.seen_by(person(request), Right.VIEW).select_related("centre")
    if search:
        rows = rows.filter(pseudonym__istartswith=search)
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request, "patients.html", {"shown": shown, "search": search, "rows": _with_scans(shown)}
    )


@require_POST
@page(Right.IDENTIFY)
def find_patients(request: HttpRequest) -> HttpResponse:
    """Patients by pseudonym, hospital number or name; a name is sent so that no address holds it.

    What was typed is not shown again: people look over shoulders.
    """
    text = request.POST.get("search", "").strip()[:64]
    found = find(person(request), text)
    return render(request, "patients.html", {"found": found, "rows": _with_scans(found.patients)})


def _with_scans(shown: Iterable[Patient]) -> list[tuple[Patient, Patient]]:
    """Patients with how many scans and of when, counted for these alone.

    So a page takes as long for many patients as for few.
    """
    found = list(shown)
    counted = Patient.objects.filter(pk__in=[each.pk for each in found]).annotate(
        n_scans=Count("scans"), latest=Max("scans__acquired_on")
    )
    facts = {each.pk: each for each in counted}
    return [(each, facts[each.pk]) for each in found]


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
    diseases = diseases_seen(user, Right.VIEW, found)
    disease = chosen(request.GET.get("disease", ""), diseases)
    scans = list(found.scans.all())
    newest = newest_labellings(scans, disease.name)
    clinical = clinical_of(found)
    scores = newest_scores(newest.values())
    scored = [each for each in scans if each.pk in scores]
    events = clinical.events if clinical else ()
    why_not = refused(found, disease) if len(newest) < len(scans) else {}
    return render(
        request,
        "patient.html",
        {
            "diseases": diseases,
            "disease": disease,
            "clinical": clinical,
            "severity": severity_of(scores[scored[-1].pk], scored[-1].acquired_on)
            if scored
            else None,
            "patient": found,
            "identity": identity,
            "rows": [
                (
                    one.scan,
                    newest.get(one.scan.pk),
                    _score(scores.get(one.scan.pk)),
                    one,
                    why_not.get(one.scan.scan_id, ""),
                )
                for one in standings(scans, disease.name)
            ],
            "factors": [
                (about, [_shown(newest.get(each.pk), about.column) for each in scans])
                for about in disease.definitions
            ],
            "scans": scans,
            "trend": trend_of([(each, newest.get(each.pk)) for each in scans], disease, events),
            "courses": courses_of([(each, newest.get(each.pk)) for each in scans], disease),
            "trend_label": f"{disease.wording.trend}: {disease.followed.name} at each scan; the "
            "same numbers are in the table of factors",
            "followed_unit": "" if disease.followed.unit == "1" else disease.followed.unit,
            "has_report": report_path(found, disease).is_file(),
            "has_pdf": report_path(found, disease, DOCUMENT).is_file(),
        },
    )


@require_GET
@page(Right.VIEW)
def scan(request: HttpRequest, pk: int) -> HttpResponse:
    """A scan: its slices with the outlines, its lesions and factors, the scan before beside it."""
    user = person(request)
    found = one_seen_by(Scan.objects.select_related("patient__centre"), user, Right.VIEW, pk=pk)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    diseases = diseases_seen(user, Right.VIEW, found.patient)
    labelling = version_of(request, found)
    asked = labelling.disease if labelling else request.GET.get("disease", "")
    disease = chosen(asked, diseases)
    versions = found.labellings.filter(disease=disease.name)
    standing = standing_of(found, disease.name)
    return render(
        request,
        "scan.html",
        {
            **scan_shown(found, labelling, disease),
            "diseases": diseases,
            "versions": list(versions.select_related("corrected_by", "corrects")),
            "waiting": waiting_for(found, disease.name),
            "may_correct": disease in diseases_seen(user, Right.CORRECT, found.patient),
            "why_not_measured": ""
            if labelling
            else refused(found.patient, disease).get(found.scan_id, ""),
            "standing": standing,
            "hidden": hidden_from(user, disease.name).filter(pk=found.pk).exists(),
            "grading_levels": levels_open_to(user, standing),
            "notes": notes_for(user, found),
            "has_objects": labelling is not None and bool(objects_of(labelling)),
            "outward": [
                right.name.lower()
                for right in (Right.SEND, Right.IDENTIFY)
                if disease in diseases_seen(user, right, found.patient)
            ],
            "factors": [
                (about, _shown(labelling, about.column))
                for about in disease.definitions
                if labelling
            ],
        },
    )


@require_GET
@page(Right.VIEW)
def slice_picture(request: HttpRequest, pk: int, index: int, axis: str = AXIAL) -> HttpResponse:
    """One slice as PNG, drawn by the server; of another axis than the axial one too."""
    found = one_seen_by(
        Scan.objects.select_related("patient__centre"), person(request), Right.VIEW, pk=pk
    )
    if axis not in AXES or index >= len(volume_of(found, axis)):
        raise Http404
    looked_at(request, f"scan {found.scan_id}", found.patient)
    both: Any = (None, None)
    labelling = version_of(request, found) if request.GET.get("labels", "1") == "1" else None
    if labelling is not None:
        both = labels_of_plane(Planes(label_planes(labelling), axis), found, index, axis)
    return picture_of(request, found, index, both, axis)


def version_of(request: HttpRequest, scan: Scan) -> Labelling | None:
    """The version that is asked for, or the newest of the disease that is; None: there is none yet.

    Args:
        request: `version`, or `disease`, in its address; without either the first disease that the
            person may see of the patient.
        scan: that the person may see.

    Raises:
        Http404: there is no such version or disease, or the person may not see it.
    """
    asked, disease = request.GET.get("version", ""), request.GET.get("disease", "")
    user = person(request)
    if not asked:
        among = diseases_seen(user, Right.VIEW, scan.patient)
        return newest_labelling(scan, chosen(disease, among).name)
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 7):
        raise Http404
    rows = scan.labellings.seen_by(user, Right.VIEW).select_related("corrected_by", "corrects")
    if disease:
        rows = rows.filter(disease=disease)
    return get_object_or_404(rows, version=int(asked))


def _score(score: SeverityScore | None) -> str:
    value = score.severity["row"].get("score") if score else None
    return "–" if value is None else f"{value:.3f}"


def _shown(labelling: Labelling | None, name: str) -> str:
    value = labelling.factors.get(name) if labelling else None
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:,.4g}"
