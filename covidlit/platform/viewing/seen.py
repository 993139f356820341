"""Who looked at what, in the audit trail: once for each session, or token and hour, and object."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from covidlit.platform.accounts.pages import person
from covidlit.platform.api.models import Look, Token
from covidlit.platform.audit.trail import record
from covidlit.platform.registry.models import Patient

_SESSION = "looked_at"
AGAIN = timedelta(hours=1)
"""A token's look is told again after so long."""


def looked_at(request: HttpRequest, subject: str, patient: Patient) -> None:
    """Record a look at a patient's page, scan or slice, unless it has been recorded before."""
    noted(request, "looked at", subject, patient.centre.name)


def noted(request: HttpRequest, action: str, subject: str, centre: str) -> None:
    """Record what is done again and again, unless the session has before, or the token of late.

    Args:
        request: by a session or a token.
        action, subject, centre: see `record`.
    """
    token: Token | None = getattr(getattr(request, "auth", None), "token", None)
    if token is not None:
        _noted_of_token(token, action, subject, centre)
        return
    before = request.session.setdefault(_SESSION, [])
    key = f"{action} {subject} {centre}"
    if key in before:
        return
    record(person(request), action, subject, centre)
    request.session[_SESSION] = [*before, key]


def _noted_of_token(token: Token, action: str, subject: str, centre: str) -> None:
    now = timezone.now()
    key = {"token": token, "subject": f"{action} {subject}", "centre": centre}
    if Look.objects.filter(**key, at__gt=now - AGAIN).exists():
        return
    with transaction.atomic():
        look, is_new = Look.objects.select_for_update().get_or_create(**key, defaults={"at": now})
        if not is_new and look.at > now - AGAIN:
            return  # the same token at the same time
        look.at = now
        look.save(update_fields=["at"])
        record(token.owner, action, subject, centre, {"token": token.pk})
