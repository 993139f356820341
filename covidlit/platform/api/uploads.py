"""Uploads: begun, their files sent in pieces, finished, and what became of them."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.authenticate import again
from covidlit.platform.api.jobs import job_answer
from covidlit.platform.api.operations import operation
from covidlit.platform.api.schemas import (
    Before,
    Key,
    Limit,
    NewUpload,
    PageOf,
    Received,
    RefusedAnswer,
    UploadAnswer,
)
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import MOST_PIECE, add_piece, size_of
from covidlit.platform.intake.steps import begin_upload, finish_upload

router = Router(tags=["uploads"])
_WITH = (
    "owner", "centre", "study_group", "job__owner", "job__centre", "job__study_group",
)  # fmt: skip

FileName = Annotated[
    str, Query(min_length=1, max_length=1000, description="of the file, with its folders")
]
Told = Annotated[
    str, Query(max_length=100, description="tells the file from others of its name: size and day")
]
_PIECE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@operation(router, "GET", "/uploads", Right.UPLOAD, PageOf[UploadAnswer])
def uploads(request: HttpRequest, before: Before = None, limit: Limit = 50) -> PageOf[UploadAnswer]:
    """Uploads, the newest first, a page at a time."""
    rows = Upload.objects.seen_by(person(request), Right.UPLOAD).select_related(*_WITH)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk").prefetch_related("refused")[: limit + 1])
    return PageOf[UploadAnswer](
        rows=[_answer(each) for each in found[:limit]],
        next=str(found[limit - 1].pk) if len(found) > limit else None,
    )


@operation(router, "POST", "/uploads", Right.UPLOAD, UploadAnswer, status=201)
def new_upload(request: HttpRequest, body: NewUpload) -> UploadAnswer:
    """Begin an upload for a centre and a study group."""
    return _answer(begin_upload(person(request), body.centre, body.study_group))


@operation(router, "GET", "/uploads/{int:pk}", Right.UPLOAD, UploadAnswer)
def upload(request: HttpRequest, pk: Key) -> UploadAnswer:
    """An upload: how far it is, and what was refused for which reason."""
    rows = Upload.objects.select_related(*_WITH)
    return _answer(one_seen_by(rows, person(request), Right.UPLOAD, pk=pk))


@operation(router, "GET", "/uploads/{int:pk}/file", Right.UPLOAD, Received)
def received(request: HttpRequest, pk: Key, name: FileName) -> Received:
    """How many bytes of a file have come: where to go on after a break."""
    return Received(size=size_of(_own(person(request), pk), name))


@operation(router, "PUT", "/uploads/{int:pk}/file", Right.UPLOAD, Received, extra=_PIECE)
def send_piece(
    request: HttpRequest,
    pk: Key,
    name: FileName,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    of: Told = "",
) -> Received:
    """Send a piece of a file, which begins where the file ends (409 says where); twice is once."""
    body = request.body  # first: it may take minutes to come, and rights may have changed since
    caller = again(request, Right.UPLOAD)
    return Received(size=add_piece(_own(caller.user, pk), name, offset, body, of))


@operation(router, "POST", "/uploads/{int:pk}/finish", Right.UPLOAD, UploadAnswer)
def finish(request: HttpRequest, pk: Key) -> UploadAnswer:
    """Say that all files have come: a job takes them in; one that failed is begun again."""
    finish_upload(_own(person(request), pk))
    return _answer(Upload.objects.select_related(*_WITH).get(pk=pk))


def _own(user: User, pk: int) -> Upload:
    """An upload of the caller himself: nobody adds files to another's."""
    return one_seen_by(Upload.objects.all(), user, Right.UPLOAD, pk=pk, owner=user)


def _answer(row: Upload) -> UploadAnswer:
    refused = [RefusedAnswer(place=each.place, reason=each.reason) for each in row.refused.all()]
    return UploadAnswer(
        id=row.pk, owner=row.owner.get_username(), centre=row.centre.name,
        study_group=row.study_group.name, made_at=row.made_at, finished_at=row.finished_at,
        n_files=row.n_files, n_bytes=row.n_bytes, n_taken=row.n_taken, n_known=row.n_known,
        most_piece=MOST_PIECE, job=job_answer(row.job) if row.job else None, refused=refused,
    )  # fmt: skip
