"""The page of jobs, and ending one; how far it is says the API."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.queue import cancel


@require_GET
@page(Right.UPLOAD)
def jobs(request: HttpRequest) -> HttpResponse:
    """The newest jobs of the scopes in which one may upload."""
    rows = Job.objects.seen_by(person(request), Right.UPLOAD)
    shown = rows.select_related("owner", "centre", "study_group")[:100]
    return render(request, "jobs.html", {"jobs": shown})


@require_POST
@page(Right.UPLOAD)
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a job to end."""
    cancel(one_seen_by(Job.objects.all(), person(request), Right.UPLOAD, pk=pk), person(request))
    return redirect("jobs")
