"""The pages and addresses of uploads."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.pages import page, person
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
from covidlit.platform.jobs.models import JobState
from covidlit.platform.jobs.queue import enqueue


@require_GET
@page(Right.UPLOAD)
def uploads(request: HttpRequest) -> HttpResponse:
    """Uploads of the scopes in which one may upload, and a form for a new one."""
    rows = Upload.objects.seen_by(person(request), Right.UPLOAD)
    shown = rows.select_related("owner", "centre", "study_group", "job")[:50]
    places = _places(request)
    return render(
        request,
        "uploads.html",
        {
            "uploads": shown,
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
    if centre is None or group is None or (centre, group) not in _places(request):
        raise PermissionDenied
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
        if own.job is not None:
            if own.job.state in (JobState.FAILED, JobState.CANCELLED):  # of whatever kind it was
                again = own.job
                own.job = enqueue(
                    again.kind, own.owner, own.centre, own.study_group, **again.arguments
                )
                own.save(update_fields=["job"])
        elif own.n_files == 0:
            messages.error(request, "No file has come yet.")
        else:
            own.finished_at = timezone.now()
            own.job = enqueue(KIND, own.owner, own.centre, own.study_group, upload=own.pk)
            own.save(update_fields=["finished_at", "job"])
    return redirect("upload", pk=found.pk)


def _places(request: HttpRequest) -> list[tuple[Centre, StudyGroup]]:
    """Centres and study groups in which the person may upload."""
    scopes = person(request).scopes_with(Right.UPLOAD)
    return [
        (centre, group)
        for centre in Centre.objects.all()
        for group in StudyGroup.objects.all()
        if any(
            scope.centre_id in (None, centre.pk) and scope.study_group_id in (None, group.pk)
            for scope in scopes
        )
    ]
