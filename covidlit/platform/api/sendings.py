"""Results confirmed to be sent to archives, and what became of each object."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router

from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import ScopedQuerySet, one_seen_by
from covidlit.platform.api.jobs import job_answer
from covidlit.platform.api.operations import operation
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.api.scans import disease_asked
from covidlit.platform.api.schemas import Before, Key, Limit, Of, PageOf
from covidlit.platform.api.sending_schemas import (
    ArchiveAnswer,
    NewSending,
    ObjectAnswer,
    SendableAnswer,
    SendingAnswer,
    SentObjectAnswer,
)
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.models import Scan
from covidlit.platform.sending.confirm import SendingRefused, confirm_seen, try_again
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.sending.models import Sending
from covidlit.platform.sending.send import archives_for
from covidlit.platform.viewing.seen import looked_at

router = Router(tags=["sendings"])


@operation(router, "GET", "/scans/{int:pk}/sendable", Right.SEND, SendableAnswer)
def sendable(request: HttpRequest, pk: Key, disease: Of = None) -> SendableAnswer:
    """The DICOM objects of a scan's newest labelling of a disease, and where they may go."""
    scan = _scan(request, pk)
    looked_at(request, f"scan {scan.scan_id}", scan.patient)
    own = disease_asked(request, scan.patient, disease, Right.SEND).name
    newest = newest_labelling(scan, own)
    return SendableAnswer(
        scan=scan.pk, patient=scan.patient.pseudonym, labelling=newest.pk if newest else None,
        version=newest.version if newest else None,
        objects=[
            ObjectAnswer(
                name=each.name, kind=each.kind, sop_instance_uid=each.sop_instance_uid,
                sha256=each.sha256(), n_bytes=each.n_bytes,
            )
            for each in (objects_of(newest) if newest else [])
        ],
        archives=[
            ArchiveAnswer(name=each.name, address=each.address)
            for each in (archives_for(newest) if newest else [])
        ],
    )  # fmt: skip


@operation(router, "POST", "/scans/{int:pk}/sendings", Right.SEND, SendingAnswer, status=201)
def new_sending(request: HttpRequest, pk: Key, body: NewSending) -> SendingAnswer:
    """Confirm that objects are sent, as they were seen; while they are on their way it is one.

    Refused (409) where there is a newer labelling, or another object than was seen.
    """
    sums = {each.sop_instance_uid: each.sha256 for each in body.objects}
    try:
        made = confirm_seen(
            person(request), _scan(request, pk), str(body.labelling), body.archive, set(sums), sums
        )
    except SendingRefused as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    return _answer(_rows().get(pk=made.pk))


@operation(router, "GET", "/sendings", Right.SEND, PageOf[SendingAnswer])
def sendings(
    request: HttpRequest, before: Before = None, limit: Limit = 50
) -> PageOf[SendingAnswer]:
    """Sendings of the scans that the caller may send, the newest first, a page at a time."""
    rows = _rows().seen_by(person(request), Right.SEND)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: limit + 1])
    return PageOf[SendingAnswer](
        rows=[_answer(each) for each in found[:limit]],
        next=str(found[limit - 1].pk) if len(found) > limit else None,
    )


@operation(router, "GET", "/sendings/{int:pk}", Right.SEND, SendingAnswer)
def sending(request: HttpRequest, pk: Key) -> SendingAnswer:
    """A sending, with the state of each of its objects."""
    return _answer(one_seen_by(_rows(), person(request), Right.SEND, pk=pk))


@operation(router, "POST", "/sendings/{int:pk}/again", Right.SEND, SendingAnswer)
def send_again(request: HttpRequest, pk: Key) -> SendingAnswer:
    """Have what was not sent tried again; one that is not over, or all sent, stays as it is."""
    found = one_seen_by(_rows(), person(request), Right.SEND, pk=pk)
    try:
        try_again(person(request), found)
    except SendingRefused as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    return _answer(_rows().get(pk=pk))


def _scan(request: HttpRequest, pk: int) -> Scan:
    rows = Scan.objects.select_related("patient__centre")
    return one_seen_by(rows, person(request), Right.SEND, pk=pk)


def _rows() -> ScopedQuerySet[Sending]:
    return Sending.objects.select_related(
        "labelling__scan__patient", "confirmed_by", "job__owner", "job__centre", "job__study_group"
    ).prefetch_related("parts")


def _answer(row: Sending) -> SendingAnswer:
    scan = row.labelling.scan
    return SendingAnswer(
        id=row.pk, scan=scan.pk, patient=scan.patient.pseudonym, labelling=row.labelling_id,
        version=row.labelling.version, archive=row.archive, address=row.address,
        confirmed_by=row.confirmed_by.get_username(), confirmed_at=row.confirmed_at,
        objects=[
            SentObjectAnswer(
                name=each.file, kind=each.kind, sop_instance_uid=each.sop_instance_uid,
                sha256=each.sha256, n_bytes=each.n_bytes, state=each.state, said=each.said,
                tried_at=each.tried_at,
            )
            for each in row.parts.all()
        ],
        job=job_answer(row.job) if row.job else None,
    )  # fmt: skip
