"""Who looked at what, in the audit trail: once for each session, or token and hour, and object."""

from __future__ import annotations

from typing import Protocol

from django.http import HttpRequest

from covidlit.platform.accounts.pages import person
from covidlit.platform.audit.trail import record
from covidlit.platform.registry.models import Patient

_SESSION = "looked_at"


class Noting(Protocol):
    """A token, which knows itself what it has looked at of late."""

    def note(self, action: str, subject: str, centre: str) -> None: ...


def looked_at(request: HttpRequest, subject: str, patient: Patient) -> None:
    """Record a look at a patient's page, scan or slice, unless it has been recorded before."""
    noted(request, "looked at", subject, patient.centre.name)


def noted(request: HttpRequest, action: str, subject: str, centre: str) -> None:
    """Record what is done again and again, unless the session has before, or the token of late.

    Args:
        request: by a session or a token.
        action, subject, centre: see `record`.
    """
    token: Noting | None = getattr(getattr(request, "auth", None), "token", None)
    if token is not None:
        token.note(action, subject, centre)
        return
    before = request.session.setdefault(_SESSION, [])
    key = f"{action} {subject} {centre}"
    if key in before:
        return
    record(person(request), action, subject, centre)
    request.session[_SESSION] = [*before, key]
