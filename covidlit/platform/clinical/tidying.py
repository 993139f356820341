"""Files of clinical tables that nobody will read any more: they name patients."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.clinical.read_table import FOLDERS
from covidlit.platform.jobs.models import JobState

_AT_IT_SECONDS = 3600


def remove_unread() -> None:
    """Remove files of tables without a row, and of those whose reading was given up."""
    before = timezone.now() - timedelta(hours=settings.FOLDER.settings.uploads.keep_hours)
    for path in settings.FOLDER.uploads.glob(f"{FOLDERS}*"):
        number = path.name.removeprefix(FOLDERS)
        rows = ClinicalTable.objects.filter(pk=int(number) if number.isdecimal() else 0)
        if not rows.exists():
            over = time.time() - path.stat().st_mtime > _AT_IT_SECONDS
        else:
            given_up = (JobState.FAILED, JobState.CANCELLED)
            over = rows.filter(job__state__in=given_up, job__ended_at__lt=before).exists()
        if over:
            shutil.rmtree(path, ignore_errors=True)
