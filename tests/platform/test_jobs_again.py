"""Jobs that are tried again, or not: whose row has another job, by whom, and of which kind."""

from __future__ import annotations

from typing import Any

import pytest
from correcting_world import circle, edit, post
from django.conf import settings
from django.test import Client
from django.urls import reverse
from platform_world import Hospital, hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.api.tokens import make_token
from covidlit.platform.audit.models import Entry
from covidlit.platform.correcting.models import Correction
from covidlit.platform.exporting.models import Export
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import add_piece, folder_of
from covidlit.platform.intake.steps import finish_upload
from covidlit.platform.intake.take_in import take_in
from covidlit.platform.jobs.again import KINDS
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.jobs.queue import cancel
from covidlit.platform.measuring.correct import correct
from covidlit.platform.sending.models import Sending

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def _failed(h: Hospital, kind: str, **arguments: object) -> Job:
    return Job.objects.create(
        kind=kind, arguments=arguments, owner=h.upload.owner, centre=h.centre,
        study_group=h.group, state=JobState.FAILED,
    )  # fmt: skip


def _fail(job: Job | None) -> Job:
    assert job is not None
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED)
    return job


def _asked(client: Client, job: Job) -> tuple[bool, int, int, str]:
    """Whether there is a button; the statuses of the page and the API; what the page says."""
    has_button = f"Try job {job.pk} again" in client.get(reverse("jobs")).content.decode()
    page = client.post(reverse("job_again", kwargs={"pk": job.pk}))
    said = client.get(reverse("jobs")).content.decode()
    api = client.post(reverse("api:job_again", kwargs={"pk": job.pk}))
    return has_button, page.status_code, api.status_code, said


def _state(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


def test_every_kind_says_how_it_is_tried_again() -> None:
    assert set(KINDS) == set(settings.JOB_KINDS)


def test_an_upload_that_has_another_job_is_taken_in_by_that_one(own: Hospital) -> None:
    add_piece(own.upload, "scan/1.dcm", 0, b"no scan")
    first = _fail(finish_upload(own.upload).job)
    client = own.client(Role.PHYSICIAN)
    assert f"Try job {first.pk} again" in client.get(reverse("jobs")).content.decode()
    second = finish_upload(Upload.objects.get(pk=own.upload.pk)).job
    assert second is not None
    assert second != first
    has_button, page, api, said = _asked(client, first)
    assert (has_button, page, api) == (False, 302, 409)
    assert "another job took its place" in said
    assert _state(first) == "failed"
    # Nor does it do harm where it runs all the same, beside the other.
    (folder_of(own.upload) / "unpacked").mkdir()
    take_in(first, lambda *_: None)
    assert (folder_of(own.upload) / "unpacked").is_dir()
    assert (folder_of(own.upload) / "files").is_dir()
    assert not own.upload.refused.exists()
    take_in(second, lambda *_: None)
    assert own.upload.refused.count() == 1
    assert not folder_of(own.upload).exists()


@pytest.mark.parametrize("kind", ["export", "send", "correct"])
def test_a_kind_needs_its_own_right(kind: str, own: Hospital) -> None:
    job = _failed(own, kind)
    labelling = own.scans[0].labellings.get()
    owner = own.upload.owner
    if kind == "export":
        Export.objects.create(owner=owner, centre=own.centre, study_group=own.group, job=job)
    elif kind == "send":
        Sending.objects.create(labelling=labelling, confirmed_by=owner, job=job)
    else:
        Correction.objects.create(
            scan=own.scans[0], disease="covid-19", corrects=labelling, by=owner, job=job
        )
    may = {
        "export": (Role.PHYSICIAN, Role.ADMINISTRATOR), "send": (Role.PHYSICIAN,), "correct": (),
    }[kind]  # fmt: skip
    for role in (Role.PHYSICIAN, Role.ADMINISTRATOR):
        _fail(job)
        has_button, page, api, _ = _asked(own.client(role), job)
        assert (has_button, page, api) == ((True, 302, 200) if role in may else (False, 403, 403))
        assert _state(job) == ("waiting" if role in may else "failed")
    # A token may no more than its scopes say, whatever its owner may.
    _fail(job)
    _, text = make_token(own.people[Role.PHYSICIAN], "test", ["upload"], 1)
    headers = {"authorization": f"Bearer {text}"}
    answer = Client().post(reverse("api:job_again", kwargs={"pk": job.pk}), headers=headers)
    assert answer.status_code == 403
    assert _state(job) == "failed"


def test_a_job_whose_files_are_gone_has_no_button(own: Hospital) -> None:
    job = _failed(own, "read a clinical table", clinical_table=own.table.pk)
    own.table.job = job
    own.table.save()
    has_button, page, api, said = _asked(own.client(Role.PHYSICIAN), job)
    assert (has_button, page, api) == (False, 302, 409)
    assert "bring the table in again" in said
    assert _state(job) == "failed"


def test_a_correction_that_was_taken_back_or_dropped_is_not_measured(own: Hospital) -> None:
    scan, client = own.scans[0], own.client(Role.ANNOTATOR)
    assert post(client, "begin_correction", scan) == 302
    new = {"kind": "new", "class": "fibrosis", "slice": 3, "points": circle(20, 20, 5)}
    assert edit(client, scan, **new) == 302
    assert post(client, "save_correction", scan) == 302
    correction = Correction.objects.get()
    first = _fail(correction.job)
    assert post(client, "measure_correction", scan) == 302
    correct(first, _never)
    correction.refresh_from_db()
    second = _fail(correction.job)
    assert second != first
    assert post(client, "reopen_correction", scan) == 302
    correct(second, _never)
    assert post(client, "drop_correction", scan) == 302
    correct(second, _never)
    assert scan.labellings.count() == 1


def _never(*_: Any) -> None:
    raise AssertionError("it is measured")


def test_what_is_over_or_asked_already_is_not_cancelled_once_more(own: Hospital) -> None:
    user = own.upload.owner

    def noted() -> int:
        return Entry.objects.filter(action="cancelled the job").count()

    for state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED):
        job = Job.objects.create(
            kind="measure", centre=own.centre, study_group=own.group, state=state
        )
        cancel(job, user)
        assert (_state(job), noted()) == (state, 0)
    running = Job.objects.create(
        kind="measure", centre=own.centre, study_group=own.group, state=JobState.RUNNING
    )
    for job, state in ((running, "running"), (own.job, "cancelled")):
        before = noted()
        for _ in range(2):
            cancel(job, user)
        assert (_state(job), noted() - before) == (state, 1)
    running.refresh_from_db()
    assert running.cancel_asked
