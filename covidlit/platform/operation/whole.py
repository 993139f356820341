"""Whether the files that rows name are there, and which are there that none names.

While jobs run, files come into their place before their row: what has changed since the oldest of
them began is nobody's orphan.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from django.conf import settings
from django.db.models import Min
from django.utils import timezone

from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.clinical.read_table import FOLDERS as TABLES
from covidlit.platform.clinical.read_table import folder_of as folder_of_table
from covidlit.platform.exporting.kept import ARCHIVE, EXPORTS
from covidlit.platform.exporting.kept import folder_of as folder_of_export
from covidlit.platform.exporting.models import Export
from covidlit.platform.folder import NEW, UNFINISHED
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import folder_of as folder_of_upload
from covidlit.platform.intake.storing import file_name
from covidlit.platform.jobs.models import OPEN, Job, JobState
from covidlit.platform.measuring.bring import VERSIONS
from covidlit.platform.registry.files import DICOM, LABEL_PLANES, SCAN_PLANES
from covidlit.platform.registry.models import Labelling, Patient, Scan
from covidlit.platform.sending.dicom_objects import OBJECTS
from covidlit.platform.sending.models import SentObject, SentState
from covidlit.platform.viewing.planes import AXES, path_of

_LOCK = ".lock"
_OBJECT = re.compile(r"^[^.].*\.dcm$")


def missing_files() -> list[str]:
    """Files that rows name and that are not there, below the platform's folder."""
    root = settings.FOLDER.root
    return sorted(str(path.relative_to(root)) for path in _named() if not path.exists())


def orphans() -> list[str]:
    """Files and folders that no row names: of attempts that were lost.

    An attempt that is made again removes what it left; after the jobs are over there is none.
    """
    root = settings.FOLDER.root
    running = Job.objects.filter(state=JobState.RUNNING).aggregate(since=Min("started_at"))
    since = (running["since"] or timezone.now()).timestamp() if running["since"] else float("inf")
    found = []
    for path in (*_of_scans(), *_of_results(), *_of_uploads(), *_of_receiver()):
        try:
            if path.lstat().st_mtime < since:
                found.append(str(path.relative_to(root)))
        except FileNotFoundError:
            continue  # removed meanwhile
    return sorted(found)


def _named() -> Iterator[Path]:
    folder = settings.FOLDER
    for name, n_files in Scan.objects.values_list("folder", "n_files").iterator():
        yield from _planes(folder.scans / name / SCAN_PLANES)
        yield from (folder.scans / name / DICOM / file_name(n) for n in range(1, n_files + 1))
    for name in Labelling.objects.values_list("folder", flat=True).iterator():
        yield from _planes(folder.results / name / LABEL_PLANES)
    waiting = SentObject.objects.filter(state=SentState.WAITING)
    for name, file in waiting.values_list("sending__labelling__folder", "file").iterator():
        yield folder.results / name / OBJECTS / file
    now = timezone.now()
    for export in Export.objects.filter(n_bytes__gt=0):
        if export.until is not None and export.until > now:
            yield folder_of_export(export) / ARCHIVE
    for table in ClinicalTable.objects.filter(read_at=None, job__state__in=OPEN):
        yield folder_of_table(table)
    # One that is taken in has told so before its files are removed.
    waits = Upload.objects.filter(n_files__gt=0, n_taken=0, n_known=0, refused=None)
    for upload in waits.exclude(job__state=JobState.DONE):
        yield folder_of_upload(upload)


def _planes(axial: Path) -> list[Path]:
    return [path_of(axial, axis) for axis in AXES]


def _of_scans() -> Iterator[Path]:
    top = settings.FOLDER.scans
    rows = dict(Scan.objects.values_list("folder", "n_files"))
    planes = {path.name for path in _planes(Path(SCAN_PLANES))}
    opened = _open_uploads()
    for path in _entries(top / NEW):
        if path.name not in opened:
            yield path
    for path in _strays(top, rows):
        if path == top / NEW:
            continue
        yield path
    for name, n_files in rows.items():
        for path in _entries(top / name):
            if path.name == DICOM:
                known = {file_name(n) for n in range(1, n_files + 1)}
                yield from (own for own in _entries(path) if n_files and own.name not in known)
            elif path.name not in planes:
                yield path


def _of_results() -> Iterator[Path]:
    top = settings.FOLDER.results
    rows = set(Labelling.objects.values_list("folder", flat=True))
    planes = {path.name for path in _planes(Path(LABEL_PLANES))}
    patients = set(Patient.objects.values_list("pseudonym", flat=True))
    for path in _strays(top, rows):
        parts = path.relative_to(top).parts
        if parts == (EXPORTS,):
            yield from _of_exports(path)
        elif parts[0] in patients and VERSIONS not in parts:
            yield from _left_in(path)  # what the patient is measured in
        else:
            yield path
    for name in rows:
        for path in _entries(top / name):
            if path.name == OBJECTS:
                yield from (own for own in _entries(path) if not _OBJECT.match(own.name))
            elif path.name not in planes:
                yield path


def _of_exports(folder: Path) -> Iterator[Path]:
    begun = Export.objects.filter(finished_at=None).values_list("pk", flat=True)
    made = Export.objects.filter(n_bytes__gt=0).values_list("pk", flat=True)
    being_made, kept = {str(pk) for pk in begun}, {str(pk) for pk in made}
    for own in _entries(folder):
        if own.name in kept:
            yield from (path for path in _entries(own) if path.name != ARCHIVE)
        elif own.name not in being_made:
            yield own


def _of_uploads() -> Iterator[Path]:
    tables = ClinicalTable.objects.filter(read_at=None).values_list("pk", flat=True)
    known = _open_uploads() | {f"{TABLES}{pk}" for pk in tables}
    yield from (path for path in _entries(settings.FOLDER.uploads) if path.name not in known)


def _of_receiver() -> Iterator[Path]:
    """What was received and will be handed over to nobody, since nothing is received any more."""
    if settings.FOLDER.settings.receiver is None:
        yield from (path for path in _entries(settings.FOLDER.received) if any(_files(path)))


def _open_uploads() -> set[str]:
    rows = Upload.objects.exclude(job__state=JobState.DONE).values_list("pk", flat=True)
    return {str(pk) for pk in rows}


def _strays(top: Path, known: Collection[str]) -> Iterator[Path]:
    """What lies below a folder beside those that are known, and not in them."""
    above = {str(parent) for name in known for parent in Path(name).parents}

    def below(folder: Path) -> Iterator[Path]:
        for path in _entries(folder):
            name = path.relative_to(top).as_posix()
            if name in above and path.is_dir():
                yield from below(path)
            elif name not in known:
                yield path

    return below(top)


def _left_in(path: Path) -> Iterator[Path]:
    """What was not finished there, and versions of which no row knows one."""
    for own in (path, *path.rglob("*")):
        is_left = UNFINISHED.match(own.name) and own.name != _LOCK
        if is_left or (own.name == VERSIONS and own.is_dir()):
            yield own


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
