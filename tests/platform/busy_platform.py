"""Work on a platform for as long as it lets live: `busy_platform.py write`, or what it holds."""

from __future__ import annotations

import json
import sys
import time
from datetime import date
from itertools import count
from pathlib import Path

from covidlit.platform.folder import current_folder
from covidlit.platform.setup import use_platform

use_platform(current_folder())

from django.utils import timezone  # noqa: E402
from platform_world import volume  # noqa: E402
from pydicom import dcmread  # noqa: E402
from pydicom.data import get_testdata_file  # noqa: E402

from covidlit.platform.accounts.models import Centre, StudyGroup, User  # noqa: E402
from covidlit.platform.audit.trail import first_broken, record  # noqa: E402
from covidlit.platform.intake.models import Upload  # noqa: E402
from covidlit.platform.intake.receiving import add_piece, folder_of, remove_files  # noqa: E402
from covidlit.platform.intake.storing import store  # noqa: E402
from covidlit.platform.jobs.models import Job, JobState  # noqa: E402
from covidlit.platform.operation.whole import missing_files  # noqa: E402
from covidlit.platform.registry.models import Scan  # noqa: E402

CONTENT = bytes(range(256)) * 40


def write() -> None:
    """Uploads that come, are taken in and taken away, and a job that never ends."""
    user, centre, group = User.objects.get(), Centre.objects.get(), StudyGroup.objects.get()
    place = {"owner": user, "centre": centre, "study_group": group}
    Job.objects.get_or_create(kind="never ends", state=JobState.RUNNING, **place)
    Job.objects.get_or_create(kind="send", state=JobState.WAITING, **place)
    Job.objects.get_or_create(kind="fetch", state=JobState.RUNNING, **place)
    header = Path(str(get_testdata_file("CT_small.dcm")))
    assert dcmread(header).PatientID
    for number in count():
        upload = Upload.objects.create(**place)
        add_piece(upload, "scan/1.dcm", 0, CONTENT)
        upload.finished_at = timezone.now()
        upload.job = Job.objects.create(kind="take in", state=JobState.RUNNING, **place)
        upload.save()
        store(upload, f"S{number % 30}", volume(), [header], "P1", "H-1", date(2020, 3, 1))
        record(user, "took in", str(upload), centre.name)
        Job.objects.filter(pk=upload.job.pk).update(state=JobState.DONE)
        remove_files(upload)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        time.sleep(0.1)  # leave something of the machine to the backup


def told() -> None:
    """What the platform holds, and whether all of it is there."""
    opened = Upload.objects.filter(finished_at__isnull=False).exclude(job__state=JobState.DONE)
    lost = [
        upload.pk
        for upload in opened
        if not (file := folder_of(upload) / "files/scan/1.dcm").is_file()
        or file.read_bytes() != CONTENT
    ]
    held = Job.objects.filter(state=JobState.CANCELLED).exclude(message="")
    going = Job.objects.exclude(state__in=(JobState.DONE, JobState.CANCELLED))
    states = list(going.values_list("state", flat=True))
    found = {
        "scans": Scan.objects.count(), "missing": missing_files(), "lost_uploads": lost,
        "broken": first_broken(), "states": sorted(set(states)),
        "held": sorted(held.values_list("kind", flat=True)),
    }  # fmt: skip
    sys.stdout.write(json.dumps(found))


{"write": write, "told": told}[sys.argv[1]]()
