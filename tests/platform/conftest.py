"""A platform for the tests: Django works on a folder of this session, tests on a database of it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from covidlit.platform.folder import VARIABLE, make_platform_folder

FOLDER = Path(tempfile.mkdtemp(prefix="covidlit_platform_"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
# Django reads its settings at the first import of a model, which is when tests are collected.
make_platform_folder(FOLDER / "platform", "Test platform")
os.environ[VARIABLE] = str(FOLDER / "platform")
os.environ["DJANGO_SETTINGS_MODULE"] = "covidlit.platform.settings"

import django  # noqa: E402

django.setup()
