"""The files of exports: where they lie, and for how long."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from covidlit.platform.exporting.models import Export
from covidlit.platform.jobs.models import JobState

ARCHIVE = "training-set.zip"
EXPORTS = "exports"
"""Among the results: the folders of exports, by their number."""


def folder_of(export: Export) -> Path:
    """Where the file of an export lies, and what it is made of while it is made."""
    return settings.FOLDER.results / EXPORTS / str(export.pk)


def archive_of(export: Export) -> Path | None:
    """The file of an export; None where it is not made yet, or removed."""
    path = folder_of(export) / ARCHIVE
    until = export.until
    return path if until is not None and until > timezone.now() and path.is_file() else None


def remove_old() -> None:
    """Remove the files of exports that have been kept for their time, and of those given up."""
    before = timezone.now() - timedelta(days=settings.FOLDER.settings.exports.keep_days)
    given_up = Export.objects.filter(
        job__state__in=(JobState.FAILED, JobState.CANCELLED), job__ended_at__lt=before
    )
    for export in given_up:
        shutil.rmtree(folder_of(export), ignore_errors=True)
    for export in Export.objects.filter(finished_at__lt=before, n_bytes__gt=0):
        shutil.rmtree(folder_of(export), ignore_errors=True)
        Export.objects.filter(pk=export.pk).update(n_bytes=0)
