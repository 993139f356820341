"""What the pages of jobs' results say of where the job stands, and by which number one asks."""

from __future__ import annotations

import pytest
from django.urls import reverse
from platform_world import Hospital, hospital
from sending_world import sending_of

from covidlit.platform.accounts.rights import Role
from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import Job
from covidlit.platform.sending.models import Sending

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    sending_of(own)
    for model in (Upload, Sending):
        model.objects.update(job=own.job)
    return own


@pytest.mark.parametrize(
    ("progress", "message", "said"),
    [
        ("", "", "waiting, 0 before it</p>"),
        ("series 2 of 3", "", "waiting, 0 before it: series 2 of 3</p>"),
        ("", "It is full. Fix: empty it.", "waiting, 0 before it: It is full. Fix: empty it.</p>"),
        ("series 2 of 3", "It is full.", "waiting, 0 before it: series 2 of 3. It is full.</p>"),
    ],
)
def test_where_a_job_stands_is_said_in_sentences(
    own: Hospital, progress: str, message: str, said: str
) -> None:
    Job.objects.update(progress=progress, message=message)
    client = own.client(Role.PHYSICIAN)
    pages = {"upload": own.upload, "clinical_table": own.table, "sending": sending_of(own)}
    for name, row in pages.items():
        page = client.get(reverse(name, kwargs={"pk": row.pk})).content.decode()
        assert f'role="status">{said}' in page.replace("\n</p>", "</p>"), name


@pytest.mark.parametrize(
    ("name", "one", "model"),
    [("uploads", "upload", Upload), ("clinical_tables", "clinical_table", ClinicalTable)],
)
def test_rows_of_one_minute_are_told_apart_by_their_numbers(
    own: Hospital, name: str, one: str, model: type[Upload] | type[ClinicalTable]
) -> None:
    place = {"owner": own.upload.owner, "centre": own.centre, "study_group": own.group}
    model.objects.create(**place, job=Job.objects.create(kind="any", **place))
    page = own.client(Role.PHYSICIAN).get(reverse(name)).content.decode()
    assert model.objects.count() == 2
    for row in model.objects.all():
        address = reverse(one, kwargs={"pk": row.pk})
        assert f'<a href="{address}">{row.pk}, {row.made_at:%Y-%m-%d %H:%M}</a>' in page
