"""Training sets of corrected scans: asked for, followed, downloaded."""

from __future__ import annotations

from django.http import FileResponse, HttpRequest, HttpResponseBase
from ninja import Router

from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.jobs import job_answer
from covidlit.platform.api.operations import operation, raw
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.api.schemas import Before, Key, Limit, PageOf
from covidlit.platform.api.sending_schemas import ExportAnswer, NewExport
from covidlit.platform.exporting.asking import (
    ExportRefused,
    begin_export,
    exports_of,
    open_archive,
)
from covidlit.platform.exporting.kept import archive_of
from covidlit.platform.exporting.models import Export

router = Router(tags=["exports"])


@operation(router, "GET", "/exports", Right.EXPORT, PageOf[ExportAnswer])
def exports(request: HttpRequest, before: Before = None, limit: Limit = 50) -> PageOf[ExportAnswer]:
    """The caller's own training sets, the newest first, a page at a time."""
    rows = exports_of(person(request))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: limit + 1])
    return PageOf[ExportAnswer](
        rows=[_answer(each) for each in found[:limit]],
        next=str(found[limit - 1].pk) if len(found) > limit else None,
    )


@operation(router, "POST", "/exports", Right.EXPORT, ExportAnswer, status=201)
def new_export(request: HttpRequest, body: NewExport) -> ExportAnswer:
    """Have a training set made; refused (409) while one of these is being made for the caller."""
    try:
        made = begin_export(person(request), body.centre, body.study_group)
    except ExportRefused as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    return _answer(_own(request, made.pk))


@operation(router, "GET", "/exports/{int:pk}", Right.EXPORT, ExportAnswer)
def export(request: HttpRequest, pk: Key) -> ExportAnswer:
    """How far a training set of the caller is."""
    return _answer(_own(request, pk))


@operation(
    router, "GET", "/exports/{int:pk}/training-set.zip", Right.EXPORT, extra=raw("application/zip")
)
def training_set(request: HttpRequest, pk: Key) -> HttpResponseBase:
    """The archive of a training set, for whoever asked for it and still may."""
    own = _own(request, pk)
    archive = open_archive(own, person(request))
    if archive is None:
        raise ApiProblem(
            404, "its file is not made yet, or is removed.", where=str(own),
            fix="wait for its job; or ask for another one.",
        )  # fmt: skip
    return FileResponse(
        archive, as_attachment=True, filename=f"training-set-{own.pk}.zip",
        content_type="application/zip",
    )  # fmt: skip


def _own(request: HttpRequest, pk: int) -> Export:
    return one_seen_by(exports_of(person(request)), person(request), Right.EXPORT, pk=pk)


def _answer(row: Export) -> ExportAnswer:
    return ExportAnswer(
        id=row.pk, centre=row.centre.name, study_group=row.study_group.name, made_at=row.made_at,
        finished_at=row.finished_at, until=row.until, n_scans=row.n_scans, n_bytes=row.n_bytes,
        is_ready=archive_of(row) is not None, job=job_answer(row.job) if row.job else None,
    )  # fmt: skip
