"""Whether the files that rows name are there, and which are there that none names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import JobState
from covidlit.platform.registry.files import LABEL_PLANES, SCAN_PLANES
from covidlit.platform.registry.models import Labelling, Scan


def missing_files() -> list[str]:
    """Files that rows name and that are not there, below the platform's folder."""
    return [str(path.relative_to(settings.FOLDER.root)) for path in _named() if not path.is_file()]


def orphans() -> list[str]:
    """Folders of scans and uploads that no row names: of attempts that were lost.

    An attempt that is made again writes over what it left; after the jobs are over there is none.
    """
    folder = settings.FOLDER
    scans = {folder.scans / name for name in Scan.objects.values_list("folder", flat=True)}
    found = [path for path in folder.scans.glob("*/*") if path not in scans]
    open_ = Upload.objects.exclude(job__state=JobState.DONE).values_list("pk", flat=True)
    uploads = {str(pk) for pk in open_}
    found += [path for path in folder.uploads.glob("*") if path.name not in uploads]
    return sorted(str(path.relative_to(folder.root)) for path in found)


def _named() -> Iterator[Path]:
    for name in Scan.objects.values_list("folder", flat=True).iterator():
        yield settings.FOLDER.scans / name / SCAN_PLANES
    for name in Labelling.objects.values_list("folder", flat=True).iterator():
        yield settings.FOLDER.results / name / LABEL_PLANES
