"""Giving jobs to the workers, taking them back, and finding those whose worker is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.audit.trail import record
from covidlit.platform.jobs.models import MOST_ATTEMPTS, Job, JobState
from covidlit.platform.jobs.tasks import perform


def enqueue(
    kind: str, owner: User | None, centre: Centre, study_group: StudyGroup, **arguments: Any
) -> Job:
    """A new job, done by a worker once the transaction is through.

    Args:
        kind: in `settings.JOB_KINDS`.
        owner: asked for it.
        centre, study_group: whom it concerns.
        arguments: plain values.
    """
    job = Job.objects.create(
        kind=kind, arguments=arguments, owner=owner, centre=centre, study_group=study_group
    )
    transaction.on_commit(lambda: perform.enqueue(job.pk))
    return job


def cancel(job: Job, who: User) -> None:
    """Ask that a job ends; one that waits ends at once."""
    with transaction.atomic():
        Job.objects.filter(pk=job.pk, state=JobState.WAITING).update(
            state=JobState.CANCELLED, ended_at=timezone.now()
        )
        Job.objects.filter(pk=job.pk, state=JobState.RUNNING).update(cancel_asked=True)
        record(who, "cancelled the job", str(job.pk), str(job.centre), {"kind": job.kind})


def requeue_lost() -> list[int]:
    """Give jobs whose worker was lost to another one, or give them up; their numbers.

    A worker may be lost with its machine: its task stays as running for ever, so the job's own
    heartbeat decides.
    """
    silence = timedelta(seconds=settings.FOLDER.settings.jobs.lost_seconds)
    lost = Job.objects.filter(state=JobState.RUNNING, heartbeat_at__lt=timezone.now() - silence)
    found = []
    for job in lost:
        if job.attempts >= MOST_ATTEMPTS:
            changed = _own(job).update(
                state=JobState.FAILED,
                ended_at=timezone.now(),
                message=f"Its worker was lost {job.attempts} times: see the log of the platform.",
            )
        else:
            changed = _own(job).update(state=JobState.WAITING, heartbeat_at=None)
        if changed:
            found.append(job.pk)
            if job.attempts < MOST_ATTEMPTS:
                perform.enqueue(job.pk)
    # A task may be lost between its job and the queue: enqueuing twice is harmless.
    forgotten = Job.objects.filter(state=JobState.WAITING, made_at__lt=timezone.now() - 3 * silence)
    for pk in forgotten.values_list("pk", flat=True):
        if not perform.is_queued(pk):
            perform.enqueue(pk)
            found.append(pk)
    return found


def _own(job: Job) -> Any:
    """The job, unless something has happened to it since it was looked at."""
    return Job.objects.filter(
        pk=job.pk, state=JobState.RUNNING, attempts=job.attempts, heartbeat_at=job.heartbeat_at
    )
