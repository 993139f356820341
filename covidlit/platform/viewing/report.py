"""A patient's page as `covidlit quantify` writes it, shown apart from the platform."""

from __future__ import annotations

from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

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
    found = one_seen_by(
        Patient.objects.select_related("centre"), person(request), Right.VIEW, pseudonym=pseudonym
    )
    among = diseases_seen(person(request), Right.VIEW, found)
    disease = chosen(request.GET.get("disease", ""), among)
    path = report_path(found, disease)
    if not path.is_file():
        raise Http404
    looked_at(request, f"report of {pseudonym}", found)
    response = HttpResponse(path.read_bytes(), content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = ALONE
    if "download" in request.GET:
        name = f"{pseudonym}.{disease.name}.html"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def report_path(patient: Patient, disease: Disease) -> Path:
    """Where the patient's page of a disease lies, once the patient is measured for it."""
    return measured_folder(patient, disease) / REPORTS / f"{patient.pseudonym}.html"
