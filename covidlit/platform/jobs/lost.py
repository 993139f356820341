"""Jobs whose worker is gone: found by their silence, and given to another one."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from covidlit.platform.jobs.models import MOST_ATTEMPTS, Job, JobState
from covidlit.platform.jobs.priorities import lift_longest_waiting
from covidlit.platform.jobs.tasks import perform

log = logging.getLogger(__name__)


def look_for_lost() -> None:
    """`requeue_lost`, for a process that has to go on whatever the database does.

    The job that has waited longest has its turn too.
    """
    try:
        for number in requeue_lost():
            log.warning("The worker of job %s was lost.", number)
        lift_longest_waiting()
    except DatabaseError as error:  # gone for a while: the next look may find it back
        log.error("The database does not answer: %s", type(error).__name__)
    finally:
        close_old_connections()


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
    old = timezone.now() - 3 * silence
    forgotten = Job.objects.filter(state=JobState.WAITING, waits_since__lt=old).order_by(*Job.ORDER)
    return found + _enqueued(list(forgotten.values_list("pk", flat=True)))


def let_wait_again() -> int:
    """Give every job that ran or waited to the workers; how many. For when no worker is there."""
    running = Job.objects.filter(state=JobState.RUNNING)
    running.filter(cancel_asked=True).update(state=JobState.CANCELLED, ended_at=timezone.now())
    running.update(state=JobState.WAITING, heartbeat_at=None)
    waiting = Job.objects.filter(state=JobState.WAITING).order_by(*Job.ORDER)
    _enqueued(list(waiting.values_list("pk", flat=True)))
    return waiting.count()


def _enqueued(jobs: list[int]) -> list[int]:
    """Give those of the jobs to the workers that have no task there; their numbers."""
    queued = perform.queued() if jobs else set()  # asked once: they may be thousands
    lost = [number for number in jobs if number not in queued]
    for number in lost:
        perform.enqueue(number)
    return lost


def _own(job: Job) -> Any:
    """The job, unless something has happened to it since it was looked at."""
    return Job.objects.filter(
        pk=job.pk, state=JobState.RUNNING, attempts=job.attempts, heartbeat_at=job.heartbeat_at
    )
