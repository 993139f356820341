"""The steps of an upload, as pages and the API take them: begun, and finished once all has come."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.places import place_named
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import UploadRefused
from covidlit.platform.intake.take_in import KIND
from covidlit.platform.intake.tidying import too_many_open
from covidlit.platform.jobs.models import JobState
from covidlit.platform.jobs.queue import enqueue


def begin_upload(user: User, centre: str, study_group: str) -> Upload:
    """A new upload, to which its files are added.

    Raises:
        PermissionDenied: the person may not bring scans in for these, or they are not there.
        UploadRefused: too many of his uploads are open.
    """
    place = place_named(user, Right.UPLOAD, centre, study_group)
    if (problem := too_many_open(user)) is not None:
        raise problem
    with transaction.atomic():
        upload = Upload.objects.create(owner=user, centre=place[0], study_group=place[1])
        record(user, "began", str(upload), centre)
    return upload


def finish_upload(upload: Upload) -> Upload:
    """All files have come: a job takes them in. Said twice, it is one job.

    Raises:
        UploadRefused: none has come.
    """
    with transaction.atomic():
        own = Upload.objects.select_for_update().get(pk=upload.pk)
        again = own.job
        if again is not None and again.state not in (JobState.FAILED, JobState.CANCELLED):
            return own  # it is being done, or was
        if again is not None and again.kind != KIND:  # what was to bring the files in
            own.job = enqueue(again.kind, own.owner, own.centre, own.study_group, **again.arguments)
            own.save(update_fields=["job"])
        elif own.n_files == 0:
            raise UploadRefused("no file of it is here.", where=str(own), fix="send one first.")
        else:
            own.finished_at = timezone.now()
            own.job = enqueue(KIND, own.owner, own.centre, own.study_group, upload=own.pk)
            own.save(update_fields=["finished_at", "job"])
    return own
