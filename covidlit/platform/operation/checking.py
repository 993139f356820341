"""What is not as it should be: files, the audit trail, and what the settings name."""

from __future__ import annotations

import time

from django.conf import settings

from covidlit.errors import ConfigError
from covidlit.platform.audit.trail import first_broken
from covidlit.platform.operation.whole import missing_files, orphans
from covidlit.platform.pacs.settings import DicomwebArchive

_AGAIN_SECONDS = 3.0
"""While the platform is served a file may be between its place and its row."""


def problems() -> list[str]:
    """A sentence for each; empty where all is well."""
    found = _of_files()
    if found:
        time.sleep(_AGAIN_SECONDS)
        again = set(_of_files())
        found = [each for each in found if each in again]
    broken = first_broken()
    if broken is not None:
        found.append(f"The audit trail was changed: entry {broken} does not follow.")
    return found + _of_settings()


def _of_files() -> list[str]:
    return [f"Missing, though the database names it: {name}" for name in missing_files()] + [
        f"Nothing in the database names it: {name}" for name in orphans()
    ]


def _of_settings() -> list[str]:
    """Secrets and certificates of archives that are not; others are read when it starts."""
    found = []
    for archive in settings.FOLDER.settings.destinations:
        asked = [archive.certificates]
        if isinstance(archive, DicomwebArchive):
            asked += [archive.password, archive.token]
        for ask in asked:
            try:
                ask()
            except ConfigError as error:
                found.append(str(error))
    return found
