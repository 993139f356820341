"""Which job is done before which: by its kind, in a batch by its place, and none waits for ever."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.jobs.tasks import perform

AWAITED, SOON, IN_TURN = 60, 30, 0

PRIORITIES = {
    "correct": AWAITED,
    "send": AWAITED,
    "export": SOON,
    "take in": SOON,
    "fetch": SOON,
    "read a clinical table": SOON,
    "measure": IN_TURN,
}
"""By kind, for each of `settings.JOB_KINDS`: what somebody waits for before the page is first."""

FIRST, LAST = 100, -100
"""The limits of django-tasks; `FIRST` is for the job that has waited longest."""

PATIENCE = timedelta(minutes=10)
"""After so long the job that has waited longest is done next, one in each such time."""


def priority_of(kind: str, place: int = 0) -> int:
    """The priority of a new job.

    Args:
        kind: in `PRIORITIES`.
        place: in the batch that it was asked for with, from 0: the tenth patient of a large upload
            waits behind the first of a small one.
    """
    return max(LAST, PRIORITIES[kind] - place)


def lift_longest_waiting() -> int | None:
    """Let the job that has waited longest be the next, unless one was of late; its number.

    So none waits for ever behind those of higher priority, which are held up by one job at most in
    `PATIENCE`.
    """
    since = timezone.now() - PATIENCE
    lifted = Job.objects.filter(priority=FIRST)
    if lifted.filter(Q(state=JobState.WAITING) | Q(started_at__gt=since)).exists():
        return None
    waiting = Job.objects.filter(state=JobState.WAITING, waits_since__lt=since)
    oldest = waiting.order_by("waits_since", "pk").first()
    if oldest is None or not waiting.filter(pk=oldest.pk).update(priority=FIRST):
        return None
    perform.lift(oldest.pk, FIRST)
    return oldest.pk


def places(jobs: Iterable[Job]) -> dict[int, int]:
    """Of those that wait, by number, how many jobs are done before, whosever they are."""
    wanted = {job.pk for job in jobs if job.state == JobState.WAITING}
    if not wanted:
        return {}
    found: dict[int, int] = {}
    order = Job.objects.filter(state=JobState.WAITING).order_by(*Job.ORDER)
    for place, number in enumerate(order.values_list("pk", flat=True).iterator()):
        if number in wanted:
            found[number] = place
            if len(found) == len(wanted):
                break
    return found
