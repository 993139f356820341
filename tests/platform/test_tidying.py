"""Uploads that nobody goes on with, how many are open, and jobs that are tried again."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from platform_world import Hospital, hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import add_piece, folder_of, remove_files
from covidlit.platform.intake.take_in import take_in
from covidlit.platform.intake.tidying import MOST_EMPTY, remove_given_up
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.jobs.tasks import perform
from covidlit.platform.operation.tidying import tidy

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(hours=settings.FOLDER.settings.uploads.keep_hours + 2)


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    remove_files(own.upload)
    return own


def _age(upload: Upload) -> None:
    """Let an upload and its files be old."""
    Upload.objects.filter(pk=upload.pk).update(made_at=LONG_AGO)
    for path in folder_of(upload).rglob("*"):
        os.utime(path, (LONG_AGO.timestamp(),) * 2)


def _send(client: Client, key: int, name: str = "a") -> Any:
    address = reverse("api:send_piece", kwargs={"pk": key})
    return client.put(f"{address}?name={name}&offset=0", b"123")


def test_an_upload_that_nobody_goes_on_with_is_removed(own: Hospital) -> None:
    add_piece(own.upload, "scan/1.dcm", 0, b"123")
    assert remove_given_up() == []  # it is new
    _age(own.upload)
    add_piece(own.upload, "scan/2.dcm", 0, b"123")
    assert remove_given_up() == []  # somebody has gone on with it
    _age(own.upload)
    assert remove_given_up() == [own.upload.pk]
    assert not folder_of(own.upload).exists()
    assert not Upload.objects.filter(pk=own.upload.pk).exists()
    assert Entry.objects.filter(action="removed, given up", centre="north").count() == 1


@pytest.mark.parametrize("state", JobState)
def test_files_of_a_job_that_failed_are_kept_for_a_time(own: Hospital, state: JobState) -> None:
    add_piece(own.upload, "scan/1.dcm", 0, b"123")
    _age(own.upload)
    Job.objects.filter(pk=own.job.pk).update(state=state, ended_at=timezone.now())
    Upload.objects.filter(pk=own.upload.pk).update(job=own.job, finished_at=LONG_AGO)
    assert remove_given_up() == []
    Job.objects.filter(pk=own.job.pk).update(ended_at=LONG_AGO)
    gone = state in (JobState.FAILED, JobState.CANCELLED)
    assert remove_given_up() == ([own.upload.pk] if gone else [])
    assert folder_of(own.upload).exists() is not gone
    assert Upload.objects.filter(pk=own.upload.pk).exists()
    assert remove_given_up() == []


def test_what_a_killed_process_left_is_swept(own: Hospital) -> None:
    folder = settings.FOLDER.uploads
    removed, left = folder / ".removed.7.ab", folder / "987654"
    for path in (removed, left):
        path.mkdir()
    tidy()
    assert not removed.exists()
    assert left.exists()  # somebody may be at it
    os.utime(left, (time.time() - 7200,) * 2)
    tidy()
    assert not left.exists()


def test_sessions_that_are_over_are_removed(own: Hospital) -> None:
    client = own.client(Role.READER)
    client.get("/")
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    own.client(Role.ANNOTATOR)
    tidy()
    assert Session.objects.count() == 1


def test_a_person_has_few_uploads_open(own: Hospital) -> None:
    client, most = own.client(Role.PHYSICIAN), settings.FOLDER.settings.uploads.max_open
    data = {"centre": "north", "study_group": "clinic"}
    begin = partial(client.post, reverse("api:new_upload"), data, "application/json")
    keys = [begin().json()["id"] for _ in range(most)]
    spare = begin().json()["id"]  # nothing has come to it
    for key in keys:
        assert _send(client, key).status_code == 200
    refused = begin()
    assert refused.status_code == 400
    assert "max_open" in refused.json()["fix"]
    page = client.post(reverse("begin_upload"), data, follow=True).content.decode()
    assert "max_open" in page
    assert Upload.objects.filter(owner=own.people[Role.PHYSICIAN]).count() == most + 1
    late = _send(client, spare)  # what was begun before counts from its first file on
    assert (late.status_code, folder_of(Upload(pk=spare)).exists()) == (400, False)
    assert "max_open" in late.json()["fix"]
    assert _send(client, keys[0], "b").status_code == 200
    done = Job.objects.create(
        kind="take in", centre=own.centre, study_group=own.group, state=JobState.DONE
    )
    Upload.objects.filter(pk=keys[0]).update(job=done)
    assert begin().status_code == 201
    assert _send(client, spare).status_code == 200


def test_empty_uploads_are_limited_by_themselves(own: Hospital) -> None:
    client, place = own.client(Role.PHYSICIAN), {"centre": own.centre, "study_group": own.group}
    owner = own.people[Role.PHYSICIAN]
    Upload.objects.bulk_create(Upload(owner=owner, **place) for _ in range(MOST_EMPTY - 1))
    data = {"centre": "north", "study_group": "clinic"}
    for _ in range(2):
        client.post(reverse("begin_upload"), data)
    assert Upload.objects.filter(owner=owner).count() == MOST_EMPTY
    page = client.post(reverse("begin_upload"), data, follow=True).content.decode()
    assert f"You have {MOST_EMPTY} uploads to which nothing has come." in page


def test_its_owner_comes_back_to_an_upload_and_takes_it_in_or_drops_it(own: Hospital) -> None:
    client = own.client(Role.PHYSICIAN)
    place = {"owner": own.people[Role.PHYSICIAN], "centre": own.centre, "study_group": own.group}
    kept, dropped = (Upload.objects.create(**place) for _ in range(2))
    pages = {each: reverse("upload", kwargs={"pk": each.pk}) for each in (kept, dropped)}
    assert 'submit" disabled>All is sent' in client.get(pages[kept]).content.decode()
    for each in (kept, dropped):
        assert _send(client, each.pk, "scan/doe.dcm").status_code == 200
    page = client.get(pages[kept]).content.decode()
    assert 'submit">All is sent' in page
    assert '<th scope="row">scan/doe.dcm</th><td class="number">3</td>' in page
    drop = reverse("drop_upload", kwargs={"pk": dropped.pk})
    other = own.client(Role.ADMINISTRATOR)
    assert other.post(drop).status_code == 404
    seen = other.get(pages[dropped]).content.decode()
    assert "1 file, 3" in seen
    assert "doe" not in seen
    assert "is dropped" in client.post(drop, follow=True).content.decode()
    assert client.post(drop).status_code == 404
    assert not folder_of(dropped).exists()
    entry = Entry.objects.get(action="dropped")
    assert (entry.username, entry.subject) == (str(kept.owner), str(dropped))
    assert _send(client, dropped.pk).status_code == 404
    client.post(reverse("finish_upload", kwargs={"pk": kept.pk}))
    answer = client.post(reverse("drop_upload", kwargs={"pk": kept.pk}), follow=True)
    assert "not dropped" in answer.content.decode()
    assert folder_of(kept).exists()


def test_a_job_that_failed_is_tried_again_once(
    own: Hospital, django_capture_on_commit_callbacks: Any
) -> None:
    client = own.client(Role.PHYSICIAN)
    address = reverse("job_again", kwargs={"pk": own.job.pk})
    assert "Try job" not in client.get(reverse("jobs")).content.decode()
    client.post(address)
    assert own.job.pk not in perform.queued()  # it waits; there is nothing to try again
    Job.objects.filter(pk=own.job.pk).update(
        state=JobState.FAILED, message="why", attempts=3, ended_at=timezone.now()
    )
    assert f"Try job {own.job.pk} again" in client.get(reverse("jobs")).content.decode()
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        for _ in range(2):
            client.post(address)
    assert len(callbacks) == 1
    job = Job.objects.get(pk=own.job.pk)
    assert (job.state, job.message, job.attempts) == ("waiting", "", 0)
    assert job.pk in perform.queued()
    assert Entry.objects.filter(action="tried again the job").count() == 1


def test_a_job_whose_worker_was_lost_at_the_end_changes_nothing(own: Hospital) -> None:
    job = Job(arguments={"upload": own.upload.pk})
    with pytest.raises(Exception, match="no longer here"):
        take_in(job, lambda *_: None)
    Upload.objects.filter(pk=own.upload.pk).update(n_taken=3)
    take_in(job, lambda *_: None)
    assert Upload.objects.get(pk=own.upload.pk).n_taken == 3


@pytest.mark.parametrize(("name", "model"), [("jobs", Job), ("uploads", Upload)])
def test_long_lists_come_in_pages(own: Hospital, name: str, model: type) -> None:
    place = {"owner": own.upload.owner, "centre": own.centre, "study_group": own.group}
    model.objects.bulk_create(model(**place) for _ in range(150))
    client = own.client(Role.PHYSICIAN)
    first, second = (client.get(f"{reverse(name)}?page={n}").content.decode() for n in (1, 2))
    assert "page=2" in first
    assert "page=1" in second
    assert first.count("<tr>") > second.count("<tr>") - 1


def test_notes_with_names_of_files_are_for_those_who_bring_scans_in(own: Hospital) -> None:
    own.scans[0].notes = "doe_jane_1950.dcm was left out"
    own.scans[0].save()
    for role in Role:
        page = own.client(role).get(reverse("scan", kwargs={"pk": own.scans[0].pk}))
        may = role in (Role.PHYSICIAN, Role.ADMINISTRATOR)
        assert ("doe_jane" in page.content.decode()) is may, role
