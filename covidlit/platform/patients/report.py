"""A patient's report as `covidlit quantify` writes it: a page, shown apart, and a PDF."""

from __future__ import annotations

from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from covidlit.lesions.report import DOCUMENT
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.measuring.measure import measured_folder
from covidlit.platform.registry.followed import chosen, diseases_seen
from covidlit.platform.registry.models import Patient
from covidlit.platform.viewing.seen import looked_at
from covidlit.quantify.reports import REPORTS

ALONE = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
"""Of a page that is shown as it was written: nothing from elsewhere, and no way to the platform."""


@require_GET
@page(Right.VIEW)
def report(request: HttpRequest, pseudonym: str) -> HttpResponse:
    """The patient's page as `covidlit quantify` writes it, with lungs and lesions in space.

    It works offline and so has its script inside: the browser runs that as of no place, without the
    person's session, and lets it ask for nothing.
    """
    found, disease = _asked_for(request, pseudonym)
    response = report_shown(request, found, disease)
    if "download" in request.GET:
        name = f"{pseudonym}.{disease.name}.html"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def report_shown(request: HttpRequest, patient: Patient, disease: Disease) -> HttpResponse:
    """The patient's page of a disease, which is in the audit trail as looked at.

    Raises:
        Http404: the patient is not measured for it yet.
    """
    path = report_path(patient, disease)
    if not path.is_file():
        raise Http404
    looked_at(request, f"report of {patient.pseudonym}", patient)
    response = HttpResponse(path.read_bytes(), content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = ALONE
    return response


@require_GET
@page(Right.VIEW)
def report_pdf(request: HttpRequest, pseudonym: str) -> HttpResponse:
    """The same report as PDF, to file and to print."""
    found, disease = _asked_for(request, pseudonym)
    path = report_path(found, disease, DOCUMENT)
    if not path.is_file():
        raise Http404
    looked_at(request, f"report of {pseudonym} as PDF", found)
    response = HttpResponse(path.read_bytes(), content_type="application/pdf")
    name = f"{pseudonym}.{disease.name}{DOCUMENT}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _asked_for(request: HttpRequest, pseudonym: str) -> tuple[Patient, Disease]:
    """The patient, and the disease of `?disease=`, or else the first that one may see."""
    rows = Patient.objects.select_related("centre")
    found = one_seen_by(rows, person(request), Right.VIEW, pseudonym=pseudonym)
    among = diseases_seen(person(request), Right.VIEW, found)
    return found, chosen(request.GET.get("disease", ""), among)


def report_path(patient: Patient, disease: Disease, ending: str = ".html") -> Path:
    """Where the patient's report of a disease lies, once the patient is measured for it."""
    return measured_folder(patient, disease) / REPORTS / f"{patient.pseudonym}{ending}"
