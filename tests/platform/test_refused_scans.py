"""Scans that measuring refuses say why, on their pages and by their job."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from platform_world import Hospital, hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.jobs.models import Job
from covidlit.platform.measuring import measure as measuring
from covidlit.platform.measuring.measure import measured_folder, refused
from covidlit.platform.registry.models import Labelling

pytestmark = pytest.mark.django_db

WHY = "no mask of it: looked for S1.nii.gz"


@pytest.fixture
def own() -> Hospital:
    """A hospital whose first scan could not be measured."""
    own = hospital("north")
    Labelling.objects.filter(scan=own.scans[0]).delete()
    place = measured_folder(own.patient, settings.FOLDER.diseases["covid-19"])
    place.mkdir(parents=True, exist_ok=True)
    rows = [f"{own.scans[0].scan_id},refused,{WHY}", f"{own.scans[1].scan_id},ok,"]
    (place / "scans.csv").write_text("\n".join(["scan_id,status,reason", *rows]) + "\n")
    return own


def test_the_pages_say_why(own: Hospital) -> None:
    assert refused(own.patient, settings.FOLDER.diseases["covid-19"]) == {own.scans[0].scan_id: WHY}
    client = own.client(Role.READER)
    page = client.get(reverse("patient", args=[own.patient.pseudonym])).content.decode()
    assert page.count(f"could not be measured: {WHY}") == 1
    assert "not measured yet" not in page
    page = client.get(reverse("scan", args=[own.scans[0].pk])).content.decode()
    assert f"could not be measured: {WHY}" in page
    page = client.get(reverse("scan", args=[own.scans[1].pk])).content.decode()
    assert "could not be measured" not in page


def test_the_job_tells_of_them_and_whose_it_is(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(measuring, "measure_patient", lambda *all_: done.append(all_))
    arguments = {"patient": own.patient.pk, "disease": "covid-19"}
    job = Job.objects.create(
        kind="measure", centre=own.centre, study_group=own.group, arguments=arguments
    )
    measuring.measure(job, lambda *_: None)
    assert len(done) == 1
    job.refresh_from_db()
    assert job.message.startswith("1 of its scans could not be measured")
    page = own.client(Role.PHYSICIAN).get(reverse("jobs")).content.decode()
    assert f'<a href="/patients/{own.patient.pseudonym}/">' in page
    assert "COVID-19 pneumonia" in page
    # Who brings scans in and sees none is not told whose they are.
    assert (
        own.patient.pseudonym not in own.client(Role.DEVICE).get(reverse("jobs")).content.decode()
    )
