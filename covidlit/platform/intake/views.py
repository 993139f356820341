"""The pages and addresses of uploads."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.places import places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.audit.trail import record
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import (
    MOST_PIECE,
    UploadRefused,
    WrongOffset,
    add_piece,
    size_of,
)
from covidlit.platform.intake.take_in import KIND
from covidlit.platform.intake.tidying import too_many_open
from covidlit.platform.jobs.models import JobState
from covidlit.platform.jobs.queue import enqueue

PER_PAGE = 50


@require_GET
@page(Right.UPLOAD)
def uploads(request: HttpRequest) -> HttpResponse:
    """Uploads of the scopes in which one may upload, and a form for a new one."""
    rows = Upload.objects.seen_by(person(request), Right.UPLOAD)
    rows = rows.select_related("owner", "centre", "study_group", "job")
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    places = places_with(person(request), Right.UPLOAD)
    return render(
        request,
        "uploads.html",
        {
            "shown": shown,
            "centres": list(dict.fromkeys(centre for centre, _ in places)),
            "study_groups": list(dict.fromkeys(group for _, group in places)),
        },
    )


@require_POST
@page(Right.UPLOAD)
def begin(request: HttpRequest) -> HttpResponse:
    """A new upload, for a centre and a study group in which one may."""
    centre = Centre.objects.filter(name=request.POST.get("centre", "")).first()
    group = StudyGroup.objects.filter(name=request.POST.get("study_group", "")).first()
    if (
        centre is None
        or group is None
        or (centre, group) not in places_with(person(request), Right.UPLOAD)
    ):
        raise PermissionDenied
    if (problem := too_many_open(person(request))) is not None:
        if request.headers.get("accept") == "application/json":
            return JsonResponse({"error": problem}, status=409)
        messages.error(request, problem)
        return redirect("uploads")
    with transaction.atomic():
        upload = Upload.objects.create(owner=person(request), centre=centre, study_group=group)
        record(person(request), "began", str(upload), centre.name)
    if request.headers.get("accept") == "application/json":
        return JsonResponse({"upload": upload.pk, "most_piece": MOST_PIECE})
    return redirect("upload", pk=upload.pk)


@require_GET
@page(Right.UPLOAD)
def upload(request: HttpRequest, pk: int) -> HttpResponse:
    """An upload: its files are added here; later what was taken and what was refused."""
    found = one_seen_by(Upload.objects.all(), person(request), Right.UPLOAD, pk=pk)
    return render(
        request,
        "upload.html",
        {"upload": found, "refused": found.refused.all(), "most_piece": MOST_PIECE},
    )


@require_http_methods(["GET", "PUT"])
@page(Right.UPLOAD)
def piece(request: HttpRequest, pk: int) -> JsonResponse:
    """Send a piece of a file (PUT, with `name` and `offset`), or ask how much of it has come."""
    body = request.body  # first: it may take minutes to come, and rights may have changed since
    asking = User.objects.get(pk=person(request).pk)
    found = one_seen_by(Upload.objects.all(), asking, Right.UPLOAD, pk=pk, owner=asking)
    name, offset = request.GET.get("name", ""), request.GET.get("offset", "0")
    of = request.GET.get("of", "")[:100]
    try:
        if request.method == "GET":
            return JsonResponse({"size": size_of(found, name)})
        if not offset.isdecimal() or len(offset) > 15:
            raise UploadRefused(f"got {offset[:20]!r}.", where="offset", fix="give a number.")
        return JsonResponse({"size": add_piece(found, name, int(offset), body, of)})
    except WrongOffset as error:
        return JsonResponse({"error": str(error), "size": error.size}, status=409)
    except UploadRefused as error:
        return JsonResponse({"error": str(error)}, status=400)


@require_POST
@page(Right.UPLOAD)
def finish(request: HttpRequest, pk: int) -> HttpResponse:
    """All files have come: a job takes them in. Said twice, it is one job."""
    found = one_seen_by(
        Upload.objects.all(), person(request), Right.UPLOAD, pk=pk, owner=person(request)
    )
    with transaction.atomic():
        own = Upload.objects.select_for_update().get(pk=found.pk)
        again = own.job
        if again is not None and again.state not in (JobState.FAILED, JobState.CANCELLED):
            pass  # it is being done, or was
        elif again is not None and again.kind != KIND:  # what was to bring the files in
            own.job = enqueue(again.kind, own.owner, own.centre, own.study_group, **again.arguments)
            own.save(update_fields=["job"])
        elif own.n_files == 0:
            messages.error(request, "No file of it is here.")
        else:
            own.finished_at = timezone.now()
            own.job = enqueue(KIND, own.owner, own.centre, own.study_group, upload=own.pk)
            own.save(update_fields=["finished_at", "job"])
    return redirect("upload", pk=found.pk)
