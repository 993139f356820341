"""A platform for the tests: Django works on a folder of this session, tests on a database of it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covidlit.platform.folder import SETTINGS_FILE, VARIABLE, make_platform_folder

FOLDER = Path(tempfile.mkdtemp(prefix="covidlit_platform_"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
# Django reads its settings at the first import of a model, which is when tests are collected.
# COVIDLIT_TEST_DATABASE=postgresql://user:password@host/name has them run there.
make_platform_folder(
    FOLDER / "platform", "Test platform", os.environ.get("COVIDLIT_TEST_DATABASE", "")
)
# Tests that ask for a second factor say so.
SETTINGS = FOLDER / "platform" / SETTINGS_FILE
SETTINGS.write_text(SETTINGS.read_text().replace('"administrators"  #', '"optional"  #'))
os.environ[VARIABLE] = str(FOLDER / "platform")
os.environ["DJANGO_SETTINGS_MODULE"] = "covidlit.platform.settings"

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from page_browser import address  # noqa: E402, F401 (a fixture)

call_command("collectstatic", interactive=False, verbosity=0)
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # in no time


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The database of a platform, with the table that counts log-ins."""
    with django_db_blocker.unblock():
        call_command("createcachetable", verbosity=0)


@pytest.fixture(autouse=True)
def no_uploads_of_other_tests() -> Iterator[None]:
    """Files do not outlive their rows, whose numbers the next test gets again."""
    yield
    for path in FOLDER.joinpath("platform", "uploads").iterdir():
        shutil.rmtree(path, ignore_errors=True)
    for path in FOLDER.joinpath("platform", "results").glob("P-*"):  # of `platform_world`
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends its connection to the database when it is through must not end the test's."""
    for room in ("operation.tidying", "jobs.lost"):
        monkeypatch.setattr(f"covidlit.platform.{room}.close_old_connections", lambda: None)
