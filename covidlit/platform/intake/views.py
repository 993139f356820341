"""The pages of uploads; their files come by the API."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.places import choices_of, places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import MOST_PIECE, UploadRefused, files_of
from covidlit.platform.intake.steps import begin_upload, finish_upload
from covidlit.platform.intake.tidying import drop as drop_upload

PER_PAGE = 50
MOST_FILES = 500
"""Of an upload, that its page names."""


@require_GET
@page(Right.UPLOAD)
def uploads(request: HttpRequest) -> HttpResponse:
    """Uploads of the scopes in which one may upload, and a form for a new one."""
    rows = Upload.objects.seen_by(person(request), Right.UPLOAD)
    rows = rows.select_related("owner", "centre", "study_group", "job")
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "uploads.html",
        {
            "shown": shown,
            **choices_of(places_with(person(request), Right.UPLOAD)),
        },
    )


@require_POST
@page(Right.UPLOAD)
def begin(request: HttpRequest) -> HttpResponse:
    """A new upload, for a centre and a study group in which one may."""
    named = request.POST.get("centre", ""), request.POST.get("study_group", "")
    try:
        return redirect("upload", pk=begin_upload(person(request), *named).pk)
    except UploadRefused as error:
        messages.error(request, f"{error.what} {error.fix}")
        return redirect("uploads")


@require_GET
@page(Right.UPLOAD)
def upload(request: HttpRequest, pk: int) -> HttpResponse:
    """An upload: its owner adds its files here; later what was taken and what was refused."""
    found = one_seen_by(Upload.objects.all(), person(request), Right.UPLOAD, pk=pk)
    is_own = found.owner_id == person(request).pk
    return render(
        request,
        "upload.html",
        {
            "upload": found,
            "is_own": is_own,
            "files": files_of(found, MOST_FILES) if is_own and found.job is None else [],
            "refused": found.refused.all(),
            "most_piece": MOST_PIECE,
        },
    )


@require_POST
@page(Right.UPLOAD)
def finish(request: HttpRequest, pk: int) -> HttpResponse:
    """All files have come: a job takes them in. Said twice, it is one job."""
    found = one_seen_by(
        Upload.objects.all(), person(request), Right.UPLOAD, pk=pk, owner=person(request)
    )
    try:
        finish_upload(found)
    except UploadRefused as error:
        messages.error(request, error.what)
    return redirect("upload", pk=found.pk)


@require_POST
@page(Right.UPLOAD)
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    """An upload that was begun goes, with its files."""
    user = person(request)
    found = one_seen_by(Upload.objects.all(), user, Right.UPLOAD, pk=pk, owner=user)
    try:
        drop_upload(found, user)
    except UploadRefused as error:
        messages.error(request, error.what)
        return redirect("upload", pk=pk)
    messages.success(request, f"Upload {pk} is dropped.")
    return redirect("uploads")
