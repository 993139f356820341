"""The page of jobs, and ending one; how far it is says the API."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.jobs.again import JobRefused, which
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.priorities import places
from covidlit.platform.jobs.queue import cancel, try_again

PER_PAGE = 100


@require_GET
@page(Right.UPLOAD)
def jobs(request: HttpRequest) -> HttpResponse:
    """The jobs, newest first, of the scopes in which one may upload."""
    rows = Job.objects.seen_by(person(request), Right.UPLOAD)
    rows = rows.select_related("owner", "centre", "study_group")
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    before = places(shown)
    # By name: the registry's own jobs are asked for through this room.
    seen = apps.get_model("registry", "Patient").objects.seen_by(person(request), Right.VIEW)
    about = {job.arguments["patient"] for job in shown if "patient" in job.arguments}
    patients = seen.in_bulk(about)
    own = {
        "shown": shown,
        "rows": [(job, before.get(job.pk), _about(job, patients)) for job in shown],
        "again": which(shown, person(request)),
    }
    return render(request, "jobs.html", own)


def _about(job: Job, patients: dict[int, Any]) -> tuple[str, str]:
    """The pseudonym of the patient whom a job is about, if one may see it, and the disease."""
    patient = patients.get(job.arguments.get("patient", 0))
    disease = settings.FOLDER.diseases.get(job.arguments.get("disease", ""))
    return ("" if patient is None else patient.pseudonym, "" if disease is None else disease.title)


@require_POST
@page(Right.UPLOAD)
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a job to end."""
    cancel(one_seen_by(Job.objects.all(), person(request), Right.UPLOAD, pk=pk), person(request))
    return redirect("jobs")


@require_POST
@page(Right.UPLOAD)
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a job again that failed or was cancelled, with the right that its kind needs."""
    user = person(request)
    try:
        try_again(one_seen_by(Job.objects.all(), user, Right.UPLOAD, pk=pk), user)
    except JobRefused as error:
        messages.error(request, str(error))
    return redirect("jobs")
