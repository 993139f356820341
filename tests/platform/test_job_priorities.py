"""Which job is done before which, by the queue that the workers ask; what people see of it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import TestCase
from django.urls import reverse
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from platform_world import Hospital, hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.jobs import priorities, tasks
from covidlit.platform.jobs.lost import requeue_lost
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.jobs.priorities import PATIENCE, PRIORITIES, lift_longest_waiting, places
from covidlit.platform.jobs.queue import cancel, enqueue, try_again

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    Job.objects.update(state=JobState.DONE)
    return own


def _asked(own: Hospital, kind: str, place: int = 0) -> Job:
    with TestCase.captureOnCommitCallbacks(execute=True):
        return enqueue(kind, own.upload.owner, own.centre, own.group, place=place)


def _taken() -> int | None:
    """What a worker takes next, as django-tasks-db chooses: the job of it, which begins."""
    found = DBTaskResult.objects.ready().get_locked()
    if found is None:
        return None
    found.claim("a worker")
    number = int(found.args_kwargs["args"][0])
    Job.objects.filter(pk=number, state=JobState.WAITING).update(
        state=JobState.RUNNING, started_at=tasks.timezone.now()
    )
    return number


def _all_taken() -> list[int]:
    return [number for number in iter(_taken, None) if number is not None]


def test_every_kind_has_a_priority() -> None:
    assert set(PRIORITIES) == set(settings.JOB_KINDS)


@pytest.mark.parametrize("kind", sorted(set(PRIORITIES) - {"measure"}))
def test_what_a_person_waits_for_is_done_before_a_large_upload(own: Hospital, kind: str) -> None:
    for place in range(150):  # more than there are priorities
        _asked(own, "measure", place)
    awaited = _asked(own, kind)
    assert awaited.n_before == 0
    assert _taken() == awaited.pk


def test_a_small_upload_does_not_wait_behind_a_large_one(own: Hospital) -> None:
    large = [_asked(own, "measure", place).pk for place in range(5)]
    small = [_asked(own, "measure", place).pk for place in range(2)]
    assert _all_taken() == [large[0], small[0], large[1], small[1], *large[2:]]


def test_as_many_are_before_a_job_as_the_workers_take_before_it(own: Hospital) -> None:
    order = random.Random(0)
    jobs = [
        _asked(own, order.choice(sorted(PRIORITIES)), order.choice([0, 0, 1, 40]))
        for _ in range(40)
    ]
    for job in order.sample(jobs, 8):  # neither a worker nor a count goes by them
        cancel(job, own.upload.owner)
    rows = list(Job.objects.exclude(state=JobState.DONE))
    told = places(rows)
    assert {job.pk: job.n_before for job in rows if job.n_before is not None} == told
    cancelled = {job.pk for job in rows if job.state == JobState.CANCELLED}
    taken = [number for number in _all_taken() if number not in cancelled]
    assert len(taken) == 32
    assert told == {number: place for place, number in enumerate(taken)}


def test_a_job_that_is_tried_again_or_was_lost_keeps_its_priority(own: Hospital) -> None:
    again, lost = _asked(own, "correct"), _asked(own, "measure", 3)
    assert _all_taken() == [again.pk, lost.pk]
    Job.objects.filter(pk=again.pk).update(state=JobState.FAILED)
    silent = timezone.now() - timedelta(hours=1)
    Job.objects.filter(pk=lost.pk).update(heartbeat_at=silent, attempts=1)
    between = [_asked(own, "take in").pk, _asked(own, "measure", 5).pk]
    assert requeue_lost() == [lost.pk]
    with TestCase.captureOnCommitCallbacks(execute=True):
        try_again(Job.objects.get(pk=again.pk), _with_rights(own, again))
    assert _all_taken() == [again.pk, between[0], lost.pk, between[1]]


def _with_rights(own: Hospital, job: Job) -> Any:
    """Somebody who may try a correction again, whose row the job is for."""
    from covidlit.platform.correcting.models import Correction

    own.client(Role.ANNOTATOR)
    user = own.people[Role.ANNOTATOR]
    labelling = own.scans[0].labellings.get()
    Correction.objects.create(scan=own.scans[0], corrects=labelling, by=user, job=job)
    return user


class _Clock:
    """The time as the queue sees it."""

    def __init__(self) -> None:
        self.time = timezone.now()

    def now(self) -> datetime:
        return self.time


def test_none_waits_for_ever_and_others_are_hardly_held_up(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    for room in (priorities, tasks):
        monkeypatch.setattr(room, "timezone", clock)
    large = {_asked(own, "measure", place).pk for place in range(3)}
    minutes, done, longest = 0, [], 0
    while not large <= set(done):
        # As much that somebody waits for as one worker can do, a minute each.
        awaited = _asked(own, "correct")
        lift_longest_waiting()
        longest = max(longest, awaited.n_before or 0)
        done.append(_taken())
        minutes += 1
        clock.time += timedelta(minutes=1)
        assert minutes < 100
    patience = PATIENCE.total_seconds() / 60
    assert minutes >= 3 * patience  # no more than one in that time
    assert minutes <= 3 * patience + 5
    assert longest <= 4  # each that was lifted, and what gathered meanwhile


def test_only_who_waited_long_is_lifted(own: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    _asked(own, "measure")
    assert lift_longest_waiting() is None
    Job.objects.filter(state=JobState.WAITING).update(waits_since=timezone.now() - 2 * PATIENCE)
    number = lift_longest_waiting()
    assert number is not None
    assert lift_longest_waiting() is None  # it has its turn first
    urgent = _asked(own, "send")
    assert _all_taken() == [number, urgent.pk]
    # Tried again it waits as it did at first.
    Job.objects.filter(pk=number).update(state=JobState.FAILED)
    job = Job.objects.get(pk=number)
    monkeypatch.setattr("covidlit.platform.jobs.queue.check", lambda *_: None)
    try_again(job, own.upload.owner)
    job.refresh_from_db()
    assert job.priority == priorities.priority_of("measure")


def test_pages_and_the_api_say_how_many_are_before(own: Hospital) -> None:
    other = hospital("south")
    foreign = [_asked(other, "take in") for _ in range(3)]
    Job.objects.filter(pk=other.job.pk).update(state=JobState.DONE)
    job = _asked(own, "measure", 7)
    own.upload.job = job
    own.upload.save()
    client = own.client(Role.PHYSICIAN)
    row = f"measure ({job.pk})"
    pages = client.get(reverse("jobs")).content.decode()
    assert "<td>waiting, 3 before it</td>" in pages.partition(row)[2].partition("</tr>")[0]
    assert all(f"({each.pk})" not in pages for each in foreign)
    said = client.get(reverse("upload", kwargs={"pk": own.upload.pk})).content.decode()
    assert 'role="status">waiting, 3 before it' in said
    assert client.get(reverse("api:job", kwargs={"pk": job.pk})).json()["n_before"] == 3
    rows = client.get(reverse("api:jobs")).json()["rows"]
    assert [each["n_before"] for each in rows if each["id"] == job.pk] == [3]
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
    assert "before it" not in client.get(reverse("jobs")).content.decode()
    assert client.get(reverse("api:job", kwargs={"pk": job.pk})).json()["n_before"] is None
