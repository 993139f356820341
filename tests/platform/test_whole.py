"""Files that rows name and that are gone, and files that no row names, wherever they lie."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from platform_world import Hospital, hospital, volume
from pydicom.data import get_testdata_file
from sending_world import sending_of

from covidlit.platform.accounts.rights import Role
from covidlit.platform.exporting.kept import ARCHIVE, folder_of
from covidlit.platform.exporting.models import Export
from covidlit.platform.folder import remove_unfinished
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import add_piece, remove_files, waiting_of
from covidlit.platform.intake.storing import store
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.operation.checking import problems
from covidlit.platform.operation.whole import missing_files, orphans
from covidlit.platform.registry.models import Scan
from covidlit.platform.sending.models import SentObject

pytestmark = pytest.mark.django_db


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    """A hospital with something of each kind that is stored, in a folder of its own."""
    monkeypatch.setattr(settings.FOLDER, "root", tmp_path)
    for name in ("scans", "results", "uploads"):
        (tmp_path / name).mkdir()
    own = hospital("north")
    own.client(Role.PHYSICIAN)
    Job.objects.filter(pk=own.job.pk).update(state=JobState.DONE)
    add_piece(own.upload, "scan/1.dcm", 0, b"a file")
    place = {"owner": own.upload.owner, "centre": own.centre, "study_group": own.group}
    export = Export.objects.create(**place, n_bytes=4, finished_at=timezone.now())
    folder_of(export).mkdir(parents=True)
    (folder_of(export) / ARCHIVE).write_bytes(b"file")
    header = [Path(str(get_testdata_file("CT_small.dcm")))] * 3
    scan = store(own.upload, "S-stored", volume(), header, "P-new", "H-9", date(2020, 3, 1)).scan
    assert scan.n_files == 3
    objects = tmp_path / "results" / own.scans[0].labellings.get().folder / "dicom"
    objects.mkdir()
    (objects / "report.dcm").write_bytes(b"an object")
    SentObject.objects.create(
        sending=sending_of(own), file="report.dcm", kind="SR", sop_instance_uid="1.2",
        sha256="0", n_bytes=9,
    )  # fmt: skip
    work = tmp_path / "results" / own.patient.pseudonym
    for name in (".lock", "manifest.csv", "quantified/records/S.json", "lung/quantified/a.csv"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("what a patient is measured in")
    return own


NAMED = (
    "scans/P-new/S-stored/planes.zip", "scans/P-new/S-stored/coronal.planes.zip",
    "scans/P-new/S-stored/sagittal.planes.zip", "scans/P-new/S-stored/dicom/00001.dcm",
    "scans/P-new/S-stored/dicom/00003.dcm", "scans/P-north/S1/planes.zip",
    "results/P-north/v1/labels.zip", "results/P-north/v20/sagittal.labels.zip",
    "results/P-north/v1/dicom/report.dcm", "results/exports/{export}/training-set.zip",
    "uploads/{upload}",
)  # fmt: skip


def _place(name: str, own: Hospital) -> Path:
    keys = {"export": Export.objects.get().pk, "upload": own.upload.pk}
    found: Path = settings.FOLDER.root / name.format(**keys)
    return found


def test_a_platform_that_is_whole_is_so(own: Hospital) -> None:
    assert (missing_files(), orphans()) == ([], [])


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_is_gone_is_missing(name: str, own: Hospital) -> None:
    path = _place(name, own)
    assert path.exists()
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert missing_files() == [str(path.relative_to(settings.FOLDER.root))]
    assert orphans() == []


STRAYS = (
    "scans/P-new/S-other/planes.zip", "scans/P-new/.S-stored.0123456789ab/dicom/00001.dcm",
    "scans/P-new/S-stored/dicom/00004.dcm", "scans/P-new/S-stored/more.zip",
    "scans/P-nobody/S1/planes.zip", "scans/P-new/file", "scans/.new/987654/0123456789ab/planes.zip",
    "results/P-north/v1/labels.bak", "results/P-north/v1/dicom/.report.dcm.0123456789ab",
    "results/P-north/versions/S1/2/labels.zip", "results/P-north/lung/versions/S1/1/labels.zip",
    "results/P-north/quantified/.factors.parquet.0123abcd.part.parquet",
    "results/P-north/lung/quantified/.a.csv.0123abcd.part.csv",
    "results/P-nobody/quantified/a.csv", "results/exports/987654/training-set.zip",
    "results/exports/{export}/work/manifest.csv",
    "results/exports/{export}/.training-set.zip.0123abcd.part.zip",
    "uploads/987654/files/1.dcm", "uploads/clinical-987654/table/a.csv", "uploads/.removed.7.ab/a",
    "uploads/broken-off.upload", "received/0123456789abcdef01234567/a.dcm",
)  # fmt: skip


@pytest.mark.parametrize("name", STRAYS)
def test_a_file_that_no_row_names_is_an_orphan(name: str, own: Hospital) -> None:
    path = _place(name, own)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("left by somebody who was killed")
    (found,) = orphans()
    assert path.is_relative_to(settings.FOLDER.root / found)
    assert missing_files() == []
    # While a job runs that may be about to write the row, it is nobody's yet.
    place = {"owner": own.upload.owner, "centre": own.centre, "study_group": own.group}
    since = timezone.now() - timedelta(minutes=1)
    job = Job.objects.create(kind="measure", state=JobState.RUNNING, started_at=since, **place)
    assert orphans() == []
    old = time.time() - 3600
    for each in (path, *path.parents):
        if each == settings.FOLDER.root:
            break
        os.utime(each, (old, old))
    assert orphans() == [found]
    job.delete()


def test_what_waits_is_no_orphan(own: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    root = settings.FOLDER.root
    Export.objects.update(finished_at=None, n_bytes=0)
    other = hospital("south")  # whose clinical table is not read
    places = (waiting_of(own.upload) / "0123456789ab", root / f"uploads/clinical-{other.table.pk}",
              root / f"results/exports/{Export.objects.get().pk}/work")  # fmt: skip
    for place in places:
        place.mkdir(parents=True)
        (place / "file").write_text("of a job that goes on")
    assert orphans() == []
    assert missing_files() == []
    receiver: Any = object()  # by which batches are handed over
    whole = settings.FOLDER.settings.model_copy(update={"receiver": receiver})
    monkeypatch.setattr(settings.FOLDER, "settings", whole)
    (root / "received/0123").mkdir(parents=True)
    (root / "received/0123/a.dcm").write_text("received")
    assert orphans() == []


def _taken_in(own: Hospital) -> None:
    remove_files(own.upload)


def _removed_before(own: Hospital) -> None:
    left = settings.FOLDER.uploads / f".removed.{own.upload.pk}.0123"
    (left / "files").mkdir(parents=True)
    remove_files(own.upload)
    remove_files(own.upload)  # by the next attempt


@pytest.mark.parametrize("do", [_taken_in, _removed_before])
def test_an_upload_that_is_over_leaves_nothing(
    do: Callable[[Hospital], None], own: Hospital
) -> None:
    (waiting_of(own.upload) / "of-an-attempt-that-was-killed").mkdir(parents=True)
    do(own)
    job = Job.objects.create(
        kind="take in", centre=own.centre, study_group=own.group, state=JobState.DONE
    )
    Upload.objects.filter(pk=own.upload.pk).update(job=job, n_files=1)
    assert (missing_files(), orphans()) == ([], [])


def test_a_scan_that_is_not_whole_never_stands_in_its_place(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Ends it as a signal would; what comes after it is not done."""

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr("covidlit.platform.intake.storing.write_planes", killed)
    monkeypatch.setattr("covidlit.platform.intake.storing.shutil.rmtree", lambda *a, **b: None)
    header = [Path(str(get_testdata_file("CT_small.dcm")))]
    with pytest.raises(Killed):
        store(own.upload, "S-killed", volume(), header, "P-new", "H-9", date(2020, 3, 1))
    monkeypatch.undo()
    assert not Scan.objects.filter(scan_id="S-killed").exists()


def test_what_was_being_written_is_removed_and_locks_stay(tmp_path: Path) -> None:
    left = [tmp_path / "a/.f.csv.0123abcd.part.csv", tmp_path / "b/.S1.0123456789ab/file"]
    kept = [tmp_path / ".lock", tmp_path / "a/f.csv", tmp_path / "a/my.part", tmp_path / "b/.x"]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    remove_unfinished(tmp_path)
    assert [path.exists() for path in (*left, *kept)] == [False] * 2 + [True] * 4


def test_problems_are_told_in_sentences(own: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covidlit.platform.operation.checking._AGAIN_SECONDS", 0.0)
    assert problems() == []
    (settings.FOLDER.root / "scans/P-new/S-stored/planes.zip").unlink()
    (settings.FOLDER.root / "scans/P-new/stray").mkdir()
    assert problems() == [
        "Missing, though the database names it: scans/P-new/S-stored/planes.zip",
        "Nothing in the database names it: scans/P-new/stray",
    ]


@pytest.mark.slow
def test_the_command_ends_with_one_where_something_is_wrong(tmp_path: Path) -> None:
    root = tmp_path / "platform"
    program = "from covidlit.platform.setup import make_platform as m; import sys; m(sys.argv[1])"
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], env=variables, capture_output=True, text=True, check=False
        )

    assert run("-c", program, str(root)).returncode == 0
    check = ("-m", "covidlit", "platform", "check", str(root))
    whole = run(*check)
    assert (whole.returncode, whole.stdout) == (0, f"{root} is whole.\n")
    (root / "scans" / "stray").mkdir()
    text = (root / "platform.toml").read_text()
    archive = 'name = "pacs"\nkind = "dicomweb"\nurl = "http://h"\ntoken_file = "no/such"\n'
    (root / "platform.toml").write_text(f"{text}\n[[destinations]]\n{archive}")
    wrong = run(*check)
    assert wrong.returncode == 1
    assert "Nothing in the database names it: scans/stray" in wrong.stdout
    assert "token_file of [[destinations]] pacs in platform.toml" in wrong.stdout
    assert "is whole" not in wrong.stdout
