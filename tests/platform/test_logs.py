"""A day's work leaves no identity in the logs: no name, number, file, search or pseudonym."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD, Hospital, hospital
from pydicom.data import get_testdata_file

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.rights import Role
from covidlit.platform.folder import PlatformFolder
from covidlit.platform.intake import take_in
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import add_piece
from covidlit.platform.jobs import lost, process
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.tasks import _close
from covidlit.platform.logs import Clean, NoTasks, logging_settings
from covidlit.platform.patients import views

pytestmark = pytest.mark.django_db

SECRETS = (
    "secret", "Secret", "P-north", "doe_", "doe.", "doe/", "Doe", "DOE", "_1950", "north", PASSWORD,
    "dcm",
)  # fmt: skip
"""None of them can be in a number by chance."""


@pytest.fixture(params=["plain", "json"])
def logged(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """All that is logged, as the platform writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Clean(as_json=request.param == "json"))
    places = [logging.getLogger(name) for name in ("", "django", "covidlit.platform")]
    places = [each for each in places if each.name != "covidlit.platform"]
    levels = [each.level for each in places]
    for each in places:
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)
    yield stream
    for each, level in zip(places, levels, strict=True):
        each.removeHandler(handler)
        each.setLevel(level)


def _a_day(own: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    client = own.client(Role.PHYSICIAN)
    client.raise_request_exception = False
    Client().post(reverse("account_login"), {"login": "Doe^Jane", "password": PASSWORD})
    Client().get("/patients/P-north/doe-1950.dcm?name=Doe", headers={"host": "doe.example"})
    for address in ("/?search=doe", f"/patients/{own.patient.pseudonym}/", "/patients/doe/",
                    "/doe.dcm?x=secret", reverse("jobs"), reverse("trail")):  # fmt: skip
        client.get(address)
    upload = Upload.objects.create(
        owner=own.people[Role.PHYSICIAN], centre=own.centre, study_group=own.group
    )
    piece = reverse("api:send_piece", kwargs={"pk": upload.pk})
    client.put(f"{piece}?name=DOE_1950.dcm&offset=0", b"no DICOM")
    client.put(f"{piece}?name=../doe&offset=0", b"x")
    client.post(reverse("finish_upload", kwargs={"pk": upload.pk}), {"Doe": "secret"})

    # Readers, the database and pages that stumble, and say over what.
    def stumble(*_: object, **__: object) -> None:
        try:
            raise ValueError("doe_1950.dcm of Doe^Jane")
        except ValueError as error:
            raise RuntimeError("secret-north") from error

    monkeypatch.setattr(views, "looked_at", stumble)
    assert client.get(f"/patients/{own.patient.pseudonym}/").status_code == 500
    add_piece(
        own.upload, "doe/1950.dcm", 0, Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    )
    monkeypatch.setattr(take_in, "_stored", stumble)
    take_in.take_in(Job(arguments={"upload": own.upload.pk}), lambda *_: None)
    logging.getLogger("pydicom").warning("%s: bad value %r", "doe.dcm", "Doe^Jane")
    logging.getLogger("other").warning(f"secret {own.patient.pseudonym}")
    logging.getLogger("other").error("%(name)s", {"name": "Doe"})

    def gone() -> None:
        raise DatabaseError("Key (name)=(Doe^Jane) exists")

    monkeypatch.setattr(lost, "requeue_lost", gone)
    lost.look_for_lost()
    _close(own.job.pk, process.FAULT, "", b"ValueError at reading.py:3")


def test_a_days_work_leaves_no_identity(
    logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = hospital("north")
    _a_day(own, monkeypatch)
    text = logged.getvalue().replace("DoesNotExist", "")  # of Python's names, not of a patient's
    assert text.count("\n") > 10
    found = {secret for secret in SECRETS if secret in text}
    assert found == set(), text
    # And yet it says what is needed.
    assert "/patients/<str:pseudonym>/" in text
    assert "RuntimeError at " in text
    assert "ValueError at reading.py:3" in text


def test_an_entry_names_page_person_status_and_time(
    logged: io.StringIO, request: pytest.FixtureRequest
) -> None:
    own = hospital("north")
    answer = own.client(Role.READER).get(reverse("scan", kwargs={"pk": own.scans[0].pk}))
    line = next(each for each in logged.getvalue().splitlines() if "answered" in each)
    if line.startswith("{"):
        entry = json.loads(line)
        assert entry["seconds"] >= 0
        assert entry["user"] == own.people[Role.READER].pk
        assert (entry["method"], entry["route"], entry["status"]) == (
            "GET",
            "/scans/<int:pk>/",
            200,
        )
        assert entry["request"] == answer["X-Request-ID"]
    else:
        assert f"request={answer['X-Request-ID']}" in line
        assert "route=/scans/<int:pk>/ status=200" in line


def test_the_settings_say_how_it_is_written() -> None:
    path = settings.FOLDER.root / "platform.toml"
    assert PlatformFolder(path.parent).settings.operation.log == "plain"
    text = path.read_text()
    try:
        path.write_text(text.replace('log = "plain"', 'log = "loud"'))
        with pytest.raises(CovidlitError, match=r"operation\.log"):
            PlatformFolder(path.parent)
    finally:
        path.write_text(text)


@pytest.mark.slow
def test_a_job_says_its_fault_without_its_words() -> None:
    program = """
import sys
from covidlit.platform.jobs import process
def stumble(*_): raise ValueError("doe_1950.dcm of Doe^Jane")
import django; django.setup()
from django.conf import settings
from covidlit.platform.jobs.models import Job
Job.objects.get = lambda **_: Job(kind="stumble")
settings.JOB_KINDS["stumble"] = "__main__.stumble"
sys.exit(process.main(1, int(sys.argv[1])))
"""
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [sys.executable, "-c", program, str(said.fileno())], pass_fds=[said.fileno()],
            env=os.environ, check=False,
        )  # fmt: skip
        said.seek(0)
        words = said.read().decode()
    assert done.returncode == process.FAULT
    assert words.startswith("ValueError at ")
    assert "doe" not in words.lower()


def test_tasks_that_go_well_are_not_told_whatever_levels_a_worker_sets() -> None:
    own = logging_settings("plain")["filters"]["no_tasks"]
    assert own == {"()": "covidlit.platform.logs.NoTasks"}
    kept = {
        (name, level): NoTasks().filter(logging.LogRecord(name, level, "x", 1, "m", (), None))
        for name in ("django_tasks", "django_tasks_db", "covidlit.platform.jobs")
        for level in (logging.INFO, logging.ERROR)
    }
    assert [name for name, is_kept in kept.items() if not is_kept] == [
        ("django_tasks", logging.INFO), ("django_tasks_db", logging.INFO),
    ]  # fmt: skip
