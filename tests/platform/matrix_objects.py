"""What a person has in a hospital, so that the hospital alone decides what he is answered.

Of each kind a new one, as it is before the page that is asked; made for people without a role
there too.
"""

from __future__ import annotations

from django.utils import timezone
from platform_world import Hospital

from covidlit.platform.accounts.models import User
from covidlit.platform.correcting.models import Correction
from covidlit.platform.exporting.kept import ARCHIVE, folder_of
from covidlit.platform.exporting.models import Export
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.pacs.settings import DicomwebArchive


def begun_upload(h: Hospital, user: User) -> None:
    """An upload to which a file has come."""
    place = {"centre": h.centre, "study_group": h.group}
    h.upload = Upload.objects.create(owner=user, n_files=1, n_bytes=1, **place)


def draft(h: Hospital, user: User) -> None:
    """A draft of the first scan."""
    scan = h.scans[0]
    Correction.objects.get_or_create(
        scan=scan, disease="covid-19", by=user, corrects=scan.labellings.get(), saved_at=None
    )


def made_export(h: Hospital, user: User) -> None:
    """An export that can be downloaded."""
    found = Export.objects.create(
        owner=user, centre=h.centre, study_group=h.group, n_bytes=4, finished_at=timezone.now()
    )
    folder_of(found).mkdir(parents=True, exist_ok=True)
    (folder_of(found) / ARCHIVE).write_bytes(b"file")


def read_table(h: Hospital, user: User) -> None:
    """The hospital's table, whose job is over."""
    own = {"owner": user, "centre": h.centre, "study_group": h.group}
    h.table.job = Job.objects.create(kind="read a clinical table", state=JobState.DONE, **own)
    h.table.withdrawn_at = None
    h.table.save()


def archive() -> DicomwebArchive:
    """One that scans may be fetched from, for all centres, and at which nobody answers."""
    return DicomwebArchive(
        name="pacs", kind="dicomweb", url="http://127.0.0.1:9", fetch=True, tries=1
    )
