"""The page of training sets: asked for, and downloaded."""

from __future__ import annotations

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.places import choices_of, places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.exporting.asking import (
    ExportRefused,
    begin_export,
    exports_of,
    open_archive,
)
from covidlit.platform.exporting.kept import archive_of
from covidlit.platform.exporting.models import Export


@require_GET
@page(Right.EXPORT)
def exports(request: HttpRequest) -> HttpResponse:
    """One's own exports, and a form for a new one."""
    return render(
        request,
        "exports.html",
        {
            "exports": [
                (each, archive_of(each) is not None) for each in exports_of(person(request))[:50]
            ],
            **choices_of(places_with(person(request), Right.EXPORT)),
        },
    )


@require_POST
@page(Right.EXPORT)
def begin(request: HttpRequest) -> HttpResponse:
    """Have a training set made of a centre and a study group in which one may."""
    named = request.POST.get("centre", ""), request.POST.get("study_group", "")
    try:
        begin_export(person(request), *named)
    except ExportRefused as error:
        messages.error(request, error.what)
    return redirect("exports")


@require_GET
@page(Right.EXPORT)
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The archive, from the disk, for whoever asked for it and still may."""
    user = person(request)
    own = one_seen_by(
        Export.objects.select_related("centre"), user, Right.EXPORT, pk=pk, owner=user
    )
    archive = open_archive(own, user)
    if archive is None:
        raise Http404
    return FileResponse(archive, as_attachment=True, filename=f"training-set-{own.pk}.zip")
