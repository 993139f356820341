"""Numbers for those who watch the platform, and nobody else."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from platform_world import hospital
from prometheus_client.parser import text_string_to_metric_families

from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.operation.alive import LONGEST_SILENCE, say_alive

pytestmark = pytest.mark.django_db


def _numbers(client: Client) -> dict[tuple[str, ...], float]:
    text = client.get(reverse("metrics")).content.decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_numbers_are_those_of_the_database() -> None:
    cache.clear()
    for name in ("north", "south"):
        own = hospital(name)
    since = timezone.now() - timedelta(minutes=10)
    Job.objects.filter(pk=own.job.pk).update(waits_since=since)
    Job.objects.create(
        kind="measure", centre=own.centre, study_group=own.group, state=JobState.RUNNING,
        heartbeat_at=timezone.now() - timedelta(seconds=100),
    )  # fmt: skip
    client = Client()
    before = _numbers(client)
    for _ in range(3):
        client.post(reverse("account_login"), {"login": "nobody", "password": "not that phrase"})
    after = _numbers(client)
    found = {name[0]: value for name, value in after.items() if len(name) == 1}
    assert (found["covidlit_patients"], found["covidlit_scans"]) == (2, 4)
    assert after["covidlit_jobs", "waiting"] == 2
    assert after["covidlit_jobs", "running"] == 1
    assert after["covidlit_jobs", "failed"] == 0
    assert 600 <= found["covidlit_oldest_waiting_job_seconds"] < 700
    assert 100 <= found["covidlit_silent_job_seconds"] < 200
    assert found["covidlit_disk_free_bytes"] > 0
    failed = ("covidlit_failed_log_ins_total",)
    assert after[failed] - before[failed] == 3
    asked = ("covidlit_request_seconds_count", "POST", "/account/login/", "2xx")
    assert after[asked] - before.get(asked, 0) == 3


def test_numbers_name_nobody() -> None:
    own = hospital("north")
    client = Client()
    client.get(f"/patients/{own.patient.pseudonym}/")
    client.get("/doe.dcm")
    text = client.get(reverse("metrics")).content.decode()
    for each in ("north", "secret", "P-north", "doe"):
        assert each not in text
    assert "/patients/<str:pseudonym>/" in text


@pytest.mark.parametrize(
    ("address", "forwarded", "https", "well"),
    [
        ("127.0.0.1", None, False, True),
        ("::1", None, False, True),
        ("10.0.0.9", None, False, False),
        ("127.0.0.1", "10.0.0.9", False, False),  # a proxy that the settings do not know
        ("127.0.0.1", "127.0.0.1", False, False),
        ("127.0.0.1", "10.0.0.9", True, False),
        ("127.0.0.1", "127.0.0.1, 10.0.0.9", True, False),  # what the asker wrote himself
        ("127.0.0.1", "10.0.0.9, 127.0.0.1", True, True),
        ("nonsense", None, False, False),
    ],
)
def test_numbers_are_for_addresses_that_the_settings_name(
    address: str, forwarded: str | None, https: bool, well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings.FOLDER.settings.model_copy(update={"https": https})
    monkeypatch.setattr(settings.FOLDER, "settings", own)
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    answer = Client(REMOTE_ADDR=address).get(reverse("metrics"), headers=headers)
    assert answer.status_code == (200 if well else 404)
    assert (b"covidlit_patients" in answer.content) is well


def test_health_says_whether_workers_run() -> None:
    client, sign = Client(), settings.FOLDER.root / ".alive"
    sign.unlink(missing_ok=True)
    answer = client.get(reverse("health"))
    assert (answer.status_code, answer.json()["workers"]) == (503, False)
    say_alive()
    answer = client.get(reverse("health"))
    assert answer.status_code == 200
    assert answer.json() == {"database": True, "disk": True, "workers": True}
    old = time.time() - LONGEST_SILENCE - 5
    os.utime(sign, (old, old))
    assert client.get(reverse("health")).status_code == 503
