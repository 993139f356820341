"""The audit trail, as far as one's own centres reach."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from covidlit.platform.accounts.models import Centre, User
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.models import Entry

PER_PAGE = 100


@require_GET
@page(Right.AUDIT)
def trail(request: HttpRequest) -> HttpResponse:
    """Who did what, the newest first."""
    rows = entries_seen_by(person(request))
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "trail.html", {"shown": shown})


def entries_seen_by(user: User) -> QuerySet[Entry]:
    """The entries that a person may see.

    Entries of a centre for those who see all of it, entries of none for those who see all centres;
    none for those who see one study group alone, since an entry does not say which it is of.
    """
    scopes = [scope for scope in user.scopes_with(Right.AUDIT) if scope.study_group_id is None]
    rows = Entry.objects.all()
    if not any(scope.centre_id is None for scope in scopes):
        own = Centre.objects.filter(pk__in=[scope.centre_id for scope in scopes])
        rows = rows.filter(centre__in=own.values("name"))
    return rows
