"""Who looked at what, in the audit trail: once for each session and object."""

from __future__ import annotations

from django.http import HttpRequest

from covidlit.platform.accounts.pages import person
from covidlit.platform.audit.trail import record
from covidlit.platform.registry.models import Patient

_SESSION = "looked_at"


def looked_at(request: HttpRequest, subject: str, patient: Patient) -> None:
    """Record a look at a patient's page, scan or slice, unless this session has looked before."""
    before = request.session.setdefault(_SESSION, [])
    if subject in before:
        return
    record(person(request), "looked at", subject, patient.centre.name)
    request.session[_SESSION] = [*before, subject]
