"""Damaged uploads sent to a platform, and what each of them left."""

from __future__ import annotations

import gc
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field

from body_mutations import Sent, form_of, mutated
from dicomweb_world import ct_slices
from django.conf import settings
from django.test import Client
from stow_bodies import KIND as STOW_KIND
from stow_bodies import body_of, file_of

from covidlit.errors import CovidlitError
from covidlit.platform.clinical.models import ClinicalTable
from covidlit.platform.clinical.read_table import KIND, read_table
from covidlit.platform.clinical.read_table import folder_of as table_folder
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import folder_of, remove_files
from covidlit.platform.intake.take_in import take_in
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.operation.whole import missing_files, orphans

STUDY, SERIES = "1.2.3.4", "1.2.3.4.5"
LONGEST_SECONDS = 10.0
_LABS = b"patient_id,day,leukocytes\n" + b"".join(b"secret-north,%d,7.5\n" % n for n in range(50))


@dataclass
class Outcome:
    """What became of the requests.

    Attributes:
        statuses: how often each status was answered.
        faults: what must not be, each with its number and mutation.
        slowest: seconds of a request.
        taken_in: uploads that were accepted and given to the job.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    taken_in: int = 0


def send_mutations(client: Client, numbers: range, seed: int) -> Outcome:
    """Send mutations, two of three to STOW-RS, the others as the form of a clinical table.

    Args:
        client: of somebody who may upload for one centre and study group.
        numbers: of the mutations.
        seed: of them all.
    """
    client.raise_request_exception = False
    slices = [file_of(each) for each in ct_slices("north", STUDY, SERIES)]
    stow = Sent(body_of(slices), STOW_KIND)
    fields = {"centre": "north", "study_group": "clinic", "mapping": ""}
    form = form_of(fields, {"table": ("labs.csv", _LABS)})
    done = Outcome()
    before = orphans()
    for number in numbers:
        is_stow = number % 3 != 2
        what, sent = mutated(stow if is_stow else form, number // 3 * 2 + number % 3, seed)
        what = f"{number}, {'STOW' if is_stow else 'form'}: {what}"
        _send(client, "/dicom-web/studies" if is_stow else "/clinical/add/", sent, what, done)
    left = [each for each in orphans() if each not in before]
    if left or missing_files():
        done.faults.append(f"left: {left[:5]}, missing: {missing_files()[:5]}")
    return done


def _send(client: Client, path: str, sent: Sent, what: str, done: Outcome) -> None:
    before = _held()
    started = time.perf_counter()
    status = client.generic(
        "POST", f"{path}?{sent.query}", sent.body, content_type=sent.kind, **sent.headers
    ).status_code
    seconds = time.perf_counter() - started
    done.slowest = max(done.slowest, seconds)
    done.statuses[status] += 1
    if status >= 500 or seconds > LONGEST_SECONDS:
        done.faults.append(f"{what}: {status} after {seconds:.1f} s")
    if status == 202:
        _take(what, _held() - before, done)
    for table in ClinicalTable.objects.filter(job__state=JobState.WAITING, job__kind=KIND):
        _read(what, table, done)
    if status != 202 and _held() != before:
        gc.collect()  # Django's test client keeps errors, and with them requests and their files
        if held := _held() - before:
            done.faults.append(f"{what}: {status}, and left {sorted(held)[:3]}")
    # Nobody waits for what follows: one person has few jobs at a time.
    Job.objects.filter(state=JobState.WAITING).update(state=JobState.DONE)


def _held() -> set[str]:
    """Uploads that have rows, and files that lie there."""
    rows = {f"upload {pk}" for pk in Upload.objects.values_list("pk", flat=True)}
    root = settings.FOLDER.uploads
    return rows | {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def _take(what: str, new: set[str], done: Outcome) -> None:
    """What was accepted is whole, and the job gets by with it."""
    upload = Upload.objects.latest("pk")
    files = [path for path in (folder_of(upload) / "files").iterdir() if path.is_file()]
    sizes = sum(path.stat().st_size for path in files)
    if (upload.n_files, upload.n_bytes) != (len(files), sizes) or not files:
        done.faults.append(f"{what}: {upload.n_files} files, and {len(files)} lie there")
    if len([each for each in new if "/told/" not in each]) != 1 + len(files):
        done.faults.append(f"{what}: more than its files lie there")
    assert upload.job is not None
    done.taken_in += 1
    try:
        take_in(upload.job, lambda progress, share_done: None)
    except CovidlitError:
        remove_files(upload)
    except Exception as error:
        done.faults.append(f"{what}: the job failed by {type(error).__name__}")
        remove_files(upload)


def _read(what: str, table: ClinicalTable, done: Outcome) -> None:
    """The job gets by with a table that was accepted."""
    assert table.job is not None
    done.taken_in += 1
    try:
        read_table(table.job, lambda progress, share_done: None)
    except CovidlitError:
        shutil.rmtree(table_folder(table), ignore_errors=True)
    except Exception as error:
        done.faults.append(f"{what}: the job failed by {type(error).__name__}")
        shutil.rmtree(table_folder(table), ignore_errors=True)
