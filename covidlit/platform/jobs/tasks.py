"""What a worker does with a job: a process of its own, watched, with a limit of time and memory."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from covidlit.platform.jobs.models import MOST_ATTEMPTS, Job, JobState
from covidlit.platform.jobs.process import REFUSED

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 3.0
_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 10.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


@task()
def _perform(job_id: int) -> None:
    claimed = Job.objects.filter(pk=job_id, state=JobState.WAITING).update(
        state=JobState.RUNNING,
        attempts=F("attempts") + 1,
        started_at=timezone.now(),
        heartbeat_at=timezone.now(),
        message="",
    )
    if not claimed:
        return  # another worker has it, or it was cancelled
    # A file and no pipe: what a job writes must not stop it when nobody reads.
    with TemporaryFile() as said:
        number = said.fileno()
        own = subprocess.Popen(
            [sys.executable, "-m", "covidlit.platform.jobs.process", str(job_id), str(number)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[number],
            start_new_session=True,
        )  # fmt: skip
        try:
            why = _watch(job_id, own)
        finally:
            _end(own)
        said.seek(0)
        _close(job_id, own.returncode, why, said.read())


class _Perform:
    """The task of a job, by the job's number."""

    def enqueue(self, job_id: int) -> None:
        """Give it to the workers, behind those of its priority."""
        own = Job.objects.filter(pk=job_id)
        own.update(waits_since=timezone.now())
        priority = own.values_list("priority", flat=True).get()
        _perform.using(priority=priority).enqueue(job_id)

    def queued(self) -> set[int]:
        """The jobs of which a task waits for a worker."""
        tasks = DBTaskResult.objects.filter(status="READY").order_by()
        return {own["args"][0] for own in tasks.values_list("args_kwargs", flat=True).iterator()}

    def lift(self, job_id: int, priority: int) -> None:
        """Give a task that waits another priority."""
        own = {"args": [job_id], "kwargs": {}}
        DBTaskResult.objects.filter(status="READY", args_kwargs=own).update(priority=priority)


perform = _Perform()


def _watch(job_id: int, own: subprocess.Popen[bytes]) -> str:
    """Wait for the end; why it has to be ended, or empty where it ended by itself."""
    limits = settings.FOLDER.settings.jobs
    started = beaten = time.monotonic()
    while own.poll() is None:
        time.sleep(_LOOK_SECONDS)
        now = time.monotonic()
        if now - started > 60 * limits.max_minutes:
            return (
                f"It took longer than {limits.max_minutes:g} minutes, which is the most for a job. "
                "Try fewer scans at once, or ask whoever runs the platform for more time ([jobs] "
                "max_minutes in platform.toml)."
            )
        taken = _memory(own.pid)
        if taken > limits.max_gib * 2**30:
            return (
                f"It took more than {limits.max_gib:g} GiB of memory, which is the most for a job. "
                "Try fewer scans at once, or ask whoever runs the platform for more ([jobs] "
                "max_gib in platform.toml)."
            )
        if now - beaten > HEARTBEAT_SECONDS:
            beaten = now
            found = Job.objects.filter(pk=job_id, state=JobState.RUNNING)
            if not found.update(heartbeat_at=timezone.now()):
                return "It was given to another worker."
            if found.filter(cancel_asked=True).exists():
                return CANCELLED
    return ""


CANCELLED = "cancelled"


def _close(job_id: int, code: int | None, why: str, said: bytes) -> None:
    """Write down how a job ended, unless another worker has it by now."""
    job = Job.objects.filter(pk=job_id, state=JobState.RUNNING)
    now = timezone.now()
    if why == CANCELLED:
        job.update(state=JobState.CANCELLED, ended_at=now)
    elif code == 0 and not why:
        job.update(state=JobState.DONE, ended_at=now, share_done=1.0, progress="")
    elif _was_killed(code, why) and job.filter(attempts__lt=MOST_ATTEMPTS).update(
        state=JobState.WAITING, heartbeat_at=None
    ):
        log.warning("Job %s was killed by signal %s, and begun again.", job_id, -(code or 0))
        perform.enqueue(job_id)
    else:
        tail = said.decode("utf-8", "replace").strip()[-2000:]
        if not why and code != REFUSED:
            log.error("Job %s ended with %s: %s", job_id, code, tail)
            tail = (
                "It ended unexpectedly. Try it again; if it ends so once more, tell whoever runs "
                f"the platform: the log says why (job {job_id}, code {code})."
            )
        job.update(state=JobState.FAILED, ended_at=now, message=why or tail)


def _was_killed(code: int | None, why: str) -> bool:
    """Whether somebody else ended it, such as a system that had no memory left for others."""
    return not why and code is not None and code < 0


def _end(own: subprocess.Popen[bytes]) -> None:
    """End the process with all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(own.pid, number)
        except ProcessLookupError:
            break
        try:
            own.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    own.wait()


def _memory(group: int) -> int:
    """Bytes that the processes of a session hold in memory, shared pages once for each."""
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == group:
                total += int(fields[21]) * _PAGE
        except (OSError, IndexError, ValueError):
            continue
    return total
