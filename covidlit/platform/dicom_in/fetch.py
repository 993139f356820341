"""The job that fetches series from an archive into an upload, and has them taken in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.db import transaction

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.places import places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import folder_of
from covidlit.platform.intake.take_in import KIND as TAKE_IN
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.pacs.errors import Refused, Unreachable
from covidlit.platform.pacs.patience import Patience
from covidlit.platform.pacs.settings import DicomwebArchive
from covidlit.platform.pacs.wado import fetch_instance, instances_of
from covidlit.platform.pacs.web import Web

KIND = "fetch"


def may_fetch(who: User, centre: Centre, group: StudyGroup) -> bool:
    """Whether a person may bring scans in there, and know whose they are."""
    wanted = (Right.UPLOAD, Right.IDENTIFY)
    return all((centre, group) in places_with(who, right) for right in wanted)


def fetching_archives(centre: Centre) -> list[DicomwebArchive]:
    """The archives of the settings that scans of a centre may be fetched from."""
    return [
        each
        for each in settings.FOLDER.settings.destinations
        if isinstance(each, DicomwebArchive) and each.fetch and each.is_for(centre.name)
    ]


def fetch(job: Job, say: Say) -> None:
    """Fetch the series of a job into its upload, then have it taken in.

    Done again it goes on with the objects that are not there yet.

    Raises:
        CovidlitError: whoever asked for it may not any more, or the archive does not give them.
    """
    upload = Upload.objects.select_related("owner", "centre", "study_group").get(
        pk=job.arguments["upload"]
    )
    if upload.job_id != job.pk:  # it was fetched, and its worker lost just then
        return
    archive = _allowed(job, upload)
    files = folder_of(upload) / "files"

    def count() -> dict[str, int]:
        """Keep how much has come, which is tidied away one day if the rest does not."""
        sizes = [path.stat().st_size for path in files.rglob("*.dcm")]
        found = {"n_files": len(sizes), "n_bytes": sum(sizes)}
        Upload.objects.filter(pk=upload.pk).update(**found)
        return found

    def told(progress: str, share_done: float) -> None:
        count()
        say(progress, share_done)

    _fetch_all(archive, [(str(a), str(b)) for a, b in job.arguments["series"]], files, told)
    n_files = count()["n_files"]
    with transaction.atomic():
        own = Upload.objects.select_for_update().get(pk=upload.pk)
        own.job = enqueue(TAKE_IN, own.owner, own.centre, own.study_group, upload=own.pk)
        own.save(update_fields=["job"])
        record(
            upload.owner, "fetched", str(own), own.centre.name,
            {"archive": archive.name, "files": n_files},
        )  # fmt: skip


def _allowed(job: Job, upload: Upload) -> DicomwebArchive:
    if not may_fetch(User.objects.get(pk=upload.owner_id), upload.centre, upload.study_group):
        raise CovidlitError(
            "whoever asked for it may not fetch scans any more.", where=str(upload),
            fix="have somebody ask who may.",
        )  # fmt: skip
    name, address = job.arguments["archive"], job.arguments["address"]
    for archive in fetching_archives(upload.centre):
        if (archive.name, archive.address) == (name, address):
            return archive
    raise CovidlitError(
        "scans of this centre are not fetched from it any more, or its address is another one.",
        where=f"archive {name}", fix="see [[destinations]] in platform.toml, then search again.",
    )  # fmt: skip


def _fetch_all(
    archive: DicomwebArchive, series: Sequence[tuple[str, str]], files: Path, say: Say
) -> None:
    limits = settings.FOLDER.settings.uploads
    patience = Patience(archive)
    share = 0.0
    while True:
        files_left, bytes_left = limits.max_files, round(limits.max_gib * 2**30)
        try:
            with Web(archive) as web:
                for number, (study_uid, series_uid) in enumerate(series, start=1):
                    uids = instances_of(web, study_uid, series_uid, files_left)
                    files_left -= len(uids)
                    folder = files / f"series-{number}"
                    folder.mkdir(parents=True, exist_ok=True)
                    for place, uid in enumerate(uids, start=1):
                        target = folder / f"{hashlib.sha256(uid.encode()).hexdigest()[:32]}.dcm"
                        if target.exists():
                            bytes_left -= target.stat().st_size
                            continue
                        share = (number - 1 + place / len(uids)) / len(series)
                        if place % 10 == 2 or place == len(uids):
                            say(f"image {place} of {len(uids)}, series {number}", share)
                        path = f"studies/{study_uid}/series/{series_uid}/instances/{uid}"
                        bytes_left -= fetch_instance(web, path, uid, target, bytes_left)
                        patience.renew()
                        if bytes_left < 0:
                            raise Refused(
                                "the series hold more than an upload may.",
                                where=f"archive {archive.name}",
                                fix="fetch fewer at a time ([uploads] max_gib in platform.toml).",
                            )
            return
        except Unreachable as error:
            patience.wait(error, say, share)
