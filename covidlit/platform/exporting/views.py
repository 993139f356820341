"""Asking for a training set, and downloading it."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.places import places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.audit.trail import record
from covidlit.platform.exporting.kept import archive_of
from covidlit.platform.exporting.models import Export
from covidlit.platform.jobs.models import OPEN
from covidlit.platform.jobs.queue import enqueue

KIND = "export"


@require_GET
@page(Right.EXPORT)
def exports(request: HttpRequest) -> HttpResponse:
    """One's own exports, and a form for a new one."""
    rows = Export.objects.seen_by(person(request), Right.EXPORT).filter(owner=person(request))
    shown = rows.select_related("centre", "study_group", "job")[:50]
    places = places_with(person(request), Right.EXPORT)
    return render(
        request,
        "exports.html",
        {
            "exports": [(each, archive_of(each) is not None) for each in shown],
            "centres": list(dict.fromkeys(centre for centre, _ in places)),
            "study_groups": list(dict.fromkeys(group for _, group in places)),
        },
    )


@require_POST
@page(Right.EXPORT)
def begin(request: HttpRequest) -> HttpResponse:
    """Have a training set made of a centre and a study group in which one may."""
    centre = Centre.objects.filter(name=request.POST.get("centre", "")).first()
    group = StudyGroup.objects.filter(name=request.POST.get("study_group", "")).first()
    if (
        centre is None
        or group is None
        or (centre, group) not in places_with(person(request), Right.EXPORT)
    ):
        raise PermissionDenied
    user = person(request)
    going_on = Export.objects.filter(
        owner=user, centre=centre, study_group=group, job__state__in=OPEN
    )
    if going_on.exists():
        messages.error(request, "One of these is being made for you already.")
        return redirect("exports")
    with transaction.atomic():
        own = Export.objects.create(owner=user, centre=centre, study_group=group)
        own.job = enqueue(KIND, user, centre, group, export=own.pk)
        own.save(update_fields=["job"])
        record(user, "asked for a training set", str(own), centre.name, {"group": group.name})
    return redirect("exports")


@require_GET
@page(Right.EXPORT)
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The archive, from the disk, for whoever asked for it and still may."""
    user = person(request)
    own = one_seen_by(
        Export.objects.select_related("centre"), user, Right.EXPORT, pk=pk, owner=user
    )
    archive = archive_of(own)
    if archive is None:
        raise Http404
    record(user, "downloaded", str(own), own.centre.name, {"scans": own.n_scans})
    return FileResponse(
        archive.open("rb"), as_attachment=True, filename=f"training-set-{own.pk}.zip"
    )
