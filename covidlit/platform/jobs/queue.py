"""Giving jobs to the workers, and taking them back."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.audit.trail import record
from covidlit.platform.jobs.again import check
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.jobs.priorities import FIRST, priority_of
from covidlit.platform.jobs.tasks import perform


def enqueue(
    kind: str,
    owner: User | None,
    centre: Centre,
    study_group: StudyGroup,
    *,
    place: int = 0,
    **arguments: Any,
) -> Job:
    """A new job, done by a worker once the transaction is through.

    Args:
        kind: in `settings.JOB_KINDS`.
        owner: asked for it.
        centre, study_group: whom it concerns.
        place: in the batch that it is asked for with; see `priority_of`.
        arguments: plain values.
    """
    job = Job.objects.create(
        kind=kind, arguments=arguments, owner=owner, centre=centre, study_group=study_group,
        priority=priority_of(kind, place),
    )  # fmt: skip
    transaction.on_commit(lambda: perform.enqueue(job.pk))
    return job


def try_again(job: Job, who: User) -> None:
    """Let a job that failed or was cancelled wait again; of several who ask at once the first.

    Raises:
        PermissionDenied, JobRefused: see `again.check`.
    """
    with transaction.atomic():
        ended = Job.objects.filter(pk=job.pk, state__in=(JobState.FAILED, JobState.CANCELLED))
        if ended.exists():
            check(job, who)
        changed = ended.update(
            state=JobState.WAITING, attempts=0, cancel_asked=False, message="", progress="",
            share_done=0.0, started_at=None, heartbeat_at=None, ended_at=None,
        )  # fmt: skip
        if changed:
            # One that was next for having waited longest has had its turn.
            Job.objects.filter(pk=job.pk, priority=FIRST).update(priority=priority_of(job.kind))
            record(who, "tried again the job", str(job.pk), str(job.centre), {"kind": job.kind})
            transaction.on_commit(lambda: perform.enqueue(job.pk))


def cancel(job: Job, who: User) -> None:
    """Ask that a job ends; one that waits ends at once, one that is over stays as it is."""
    with transaction.atomic():
        own = Job.objects.filter(pk=job.pk)
        changed = own.filter(state=JobState.WAITING).update(
            state=JobState.CANCELLED, ended_at=timezone.now()
        ) or own.filter(state=JobState.RUNNING, cancel_asked=False).update(cancel_asked=True)
        if changed:
            record(who, "cancelled the job", str(job.pk), str(job.centre), {"kind": job.kind})
