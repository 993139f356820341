"""Jobs whose worker is gone, in a database that many processes share."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from platform_world import hospital

from covidlit.platform.jobs.lost import let_wait_again, requeue_lost
from covidlit.platform.jobs.models import MOST_ATTEMPTS, Job, JobState
from covidlit.platform.jobs.process import FAULT
from covidlit.platform.jobs.tasks import _close, perform

pytestmark = pytest.mark.django_db


def _job(state: JobState, silent_minutes: float, **other: object) -> Job:
    own = hospital(f"centre-{Job.objects.count()}")
    since = timezone.now() - timedelta(minutes=silent_minutes)
    Job.objects.filter(pk=own.job.pk).update(
        state=state, heartbeat_at=since, made_at=since, waits_since=since, **other
    )
    return Job.objects.get(pk=own.job.pk)


def test_a_silent_job_is_given_to_another_worker_and_given_up_at_last() -> None:
    lost = _job(JobState.RUNNING, 60, attempts=1)
    often = _job(JobState.RUNNING, 60, attempts=MOST_ATTEMPTS)
    alive = _job(JobState.RUNNING, 0, attempts=1)
    assert set(requeue_lost()) == {lost.pk, often.pk}
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {lost.pk: "waiting", often.pk: "failed", alive.pk: "running"}
    assert lost.pk in perform.queued()
    assert often.pk not in perform.queued()


def test_a_job_that_was_forgotten_is_queued_once() -> None:
    job = _job(JobState.WAITING, 60)
    assert requeue_lost() == [job.pk]
    assert requeue_lost() == []


def test_without_workers_all_that_ran_wait_again() -> None:
    running, over = _job(JobState.RUNNING, 0), _job(JobState.DONE, 0)
    asked = _job(JobState.RUNNING, 0, cancel_asked=True)
    assert let_wait_again() == 1
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {running.pk: "waiting", over.pk: "done", asked.pk: "cancelled"}
    assert running.pk in perform.queued()


@pytest.mark.parametrize(
    ("attempts", "code", "why", "state"),
    [
        (1, -9, "", "waiting"),  # the system had no memory left
        (MOST_ATTEMPTS, -9, "", "failed"),
        (1, -15, "It took too long.", "failed"),
        (1, FAULT, "", "failed"),
        (1, 0, "", "done"),
    ],
)
def test_a_job_that_somebody_killed_is_begun_again(
    attempts: int, code: int, why: str, state: str
) -> None:
    job = _job(JobState.RUNNING, 0, attempts=attempts)
    _close(job.pk, code, why, b"ValueError at a.py:3")
    job.refresh_from_db()
    assert job.state == state
    assert (job.pk in perform.queued()) is (state == "waiting")
    assert why in job.message
