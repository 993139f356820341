"""Uploads that nobody goes on with, removed after a time; and how many a person may have open."""

from __future__ import annotations

import logging
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from covidlit.platform.accounts.models import User
from covidlit.platform.audit.trail import record
from covidlit.platform.folder import REMOVED
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import (
    UploadRefused,
    folder_of,
    has_most_open,
    remove_files,
)
from covidlit.platform.jobs.models import JobState

log = logging.getLogger(__name__)

MOST_EMPTY = 50
"""Uploads of a person to which nothing has come."""

_ENDED = (JobState.FAILED, JobState.CANCELLED)


def too_many_open(user: User) -> UploadRefused | None:
    """Why a person may not begin a further upload; None where he may."""
    if has_most_open(user):
        most = settings.FOLDER.settings.uploads.max_open
        return UploadRefused(
            f"You have {most} uploads that are not taken in yet.", where="your uploads",
            fix="Finish or drop one of them, or wait until it is taken in ([uploads] max_open in "
            "platform.toml is the limit).",
        )  # fmt: skip
    empty = Upload.objects.filter(owner=user, job__isnull=True, n_files=0)
    if empty.count() >= MOST_EMPTY:
        return UploadRefused(
            f"You have {MOST_EMPTY} uploads to which nothing has come.",
            where="your uploads",
            fix="Send files to one of them, or drop it.",
        )
    return None


def remove_given_up() -> list[int]:
    """Remove uploads that were begun, and files of those that were not taken in; their numbers.

    An upload to which nothing was added for `[uploads] keep_hours` goes as a whole; of one whose
    job failed or was cancelled so long ago the row stays, with what was said of it.
    """
    before = timezone.now() - timedelta(hours=settings.FOLDER.settings.uploads.keep_hours)
    found = []
    for upload in Upload.objects.filter(finished_at__isnull=True, made_at__lt=before):
        if _last_change(folder_of(upload), upload.made_at) < before and _give_up(upload):
            found.append(upload.pk)
    ended = Upload.objects.filter(job__state__in=_ENDED, job__ended_at__lt=before, n_files__gt=0)
    for upload in ended:
        if _forget_files(upload, before):
            found.append(upload.pk)
    _sweep(before)
    return found


def drop(upload: Upload, who: User) -> None:
    """Remove an upload that was begun, with its files, as its owner wants it.

    Raises:
        UploadRefused: it is finished.
    """
    if not _give_up(upload, who):
        raise UploadRefused(
            "It is finished, so it is not dropped.", where=str(upload), fix="end its job instead."
        )


def _give_up(upload: Upload, who: User | None = None) -> bool:
    action = "removed, given up" if who is None else "dropped"
    with transaction.atomic():
        # The row first: a piece that comes now finds no upload, and a finish has been before.
        own = Upload.objects.select_for_update().filter(pk=upload.pk, finished_at__isnull=True)
        if not own.exists():
            return False
        own.delete()
        record(who, action, str(upload), upload.centre.name, {"by": str(upload.owner)})
    remove_files(upload)
    return True


def _forget_files(upload: Upload, before: datetime) -> bool:
    with transaction.atomic():
        own = Upload.objects.select_for_update(of=("self",)).filter(
            pk=upload.pk, job__state__in=_ENDED, job__ended_at__lt=before
        )
        if not own.exists():
            return False
        Upload.objects.filter(pk=upload.pk).update(n_files=0, n_bytes=0)
        record(None, "removed the files of", str(upload), upload.centre.name)
    remove_files(upload)
    return True


def _last_change(folder: Path, made_at: datetime) -> datetime:
    times = [path.stat().st_mtime for path in folder.rglob("*")] if folder.is_dir() else []
    newest = datetime.fromtimestamp(max(times, default=0.0), tz=made_at.tzinfo)
    return max(newest, made_at)


def _sweep(before: datetime) -> None:
    """Remove what killed processes have left of uploads, once nobody can be at it any more."""
    for path in settings.FOLDER.uploads.iterdir():
        if path.name.startswith(REMOVED):  # by whoever may be at it still, too
            shutil.rmtree(path, ignore_errors=True)
            continue
        is_left = path.name.isdecimal() and not Upload.objects.filter(pk=path.name).exists()
        old = time.time() - path.stat().st_mtime > 3600
        if is_left and old and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file() and path.stat().st_mtime < before.timestamp():
            path.unlink(missing_ok=True)  # of a request that was broken off
