"""Jobs: listed, asked for, cancelled; and a patient measured again."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest
from ninja import Router

from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.authenticate import check_right
from covidlit.platform.api.operations import operation
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.api.schemas import Before, JobAnswer, Key, Limit, Of, PageOf, Pseudonym
from covidlit.platform.audit.trail import record
from covidlit.platform.jobs.again import KINDS, JobRefused
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.jobs.priorities import places as jobs_before
from covidlit.platform.jobs.queue import cancel, try_again
from covidlit.platform.registry.followed import chosen, diseases_seen, group_following
from covidlit.platform.registry.measured import MEASURE, have_measured
from covidlit.platform.registry.models import Patient

router = Router(tags=["jobs"])
_WITH = ("owner", "centre", "study_group")


@operation(router, "GET", "/jobs", Right.UPLOAD, PageOf[JobAnswer])
def jobs(request: HttpRequest, before: Before = None, limit: Limit = 50) -> PageOf[JobAnswer]:
    """Jobs, the newest first, a page at a time."""
    rows = Job.objects.seen_by(person(request), Right.UPLOAD).select_related(*_WITH)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: limit + 1])
    places = jobs_before(found)
    return PageOf[JobAnswer](
        rows=[job_answer(each, places.get(each.pk)) for each in found[:limit]],
        next=str(found[limit - 1].pk) if len(found) > limit else None,
    )


@operation(router, "GET", "/jobs/{int:pk}", Right.UPLOAD, JobAnswer)
def job(request: HttpRequest, pk: Key) -> JobAnswer:
    """How far a job is."""
    return job_answer(_seen(request, pk))


@operation(router, "POST", "/jobs/{int:pk}/cancel", Right.UPLOAD, JobAnswer)
def cancel_job(request: HttpRequest, pk: Key) -> JobAnswer:
    """Ask a job to end; one that is over stays as it is."""
    cancel(_seen(request, pk), person(request))
    return job_answer(_seen(request, pk))


@operation(router, "POST", "/jobs/{int:pk}/again", Right.UPLOAD, JobAnswer)
def job_again(request: HttpRequest, pk: Key) -> JobAnswer:
    """Try a job again that failed or was cancelled, which needs the right of its kind.

    A job that waits, runs or is done stays as it is. One whose upload, export, correction or
    sending has another job by now, or that reads a table, is refused (409).
    """
    found = _seen(request, pk)
    check_right(request.auth, KINDS[found.kind].right)
    try:
        try_again(found, person(request))
    except JobRefused as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    return job_answer(_seen(request, pk))


@operation(router, "POST", "/patients/{pseudonym}/measure", Right.UPLOAD, JobAnswer, status=202)
def measure(request: HttpRequest, pseudonym: Pseudonym, disease: Of = None) -> JobAnswer:
    """Have a patient's scans measured for a disease by the model of now.

    A job that waits to do it is enough.
    """
    user = person(request)
    rows = Patient.objects.select_related("centre")
    patient = one_seen_by(rows, user, Right.UPLOAD, pseudonym=pseudonym)
    own = chosen(disease or "", diseases_seen(user, Right.UPLOAD, patient)).name
    group = group_following(patient, own, user, Right.UPLOAD)
    if group is None:
        raise ApiProblem(
            409, "no study group of the patient follows it any more.", where=patient.pseudonym,
            fix="bring a scan of the patient in for one that does.",
        )  # fmt: skip
    with transaction.atomic():
        Patient.objects.select_for_update().get(pk=patient.pk)  # two callers at once: one job
        waiting = Job.objects.seen_by(user, Right.UPLOAD).filter(
            kind=MEASURE, state=JobState.WAITING,
            arguments={"patient": patient.pk, "disease": own},
        )  # fmt: skip
        found = waiting.select_related(*_WITH).first()
        if found is None:
            (found,) = have_measured(patient, user, group, [own])
            record(
                user, "asked to measure", f"patient {pseudonym}", patient.centre.name,
                {"disease": own},
            )  # fmt: skip
    return job_answer(found)


def job_answer(row: Job, n_before: int | None = None) -> JobAnswer:
    """A job as it is answered.

    Args:
        row: of it.
        n_before: see `Job.n_before`, where it is known for many at once.
    """
    return JobAnswer(
        id=row.pk, kind=row.kind, owner=row.owner.get_username() if row.owner else None,
        centre=row.centre.name, study_group=row.study_group.name, state=row.state,
        progress=row.progress, share_done=row.share_done, message=row.message,
        is_over=row.is_over, n_before=row.n_before if n_before is None else n_before,
        made_at=row.made_at, started_at=row.started_at, ended_at=row.ended_at,
    )  # fmt: skip


def _seen(request: HttpRequest, pk: int) -> Job:
    rows = Job.objects.select_related(*_WITH)
    return one_seen_by(rows, person(request), Right.UPLOAD, pk=pk)
