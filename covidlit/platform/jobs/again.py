"""Which jobs may be tried again, and by whom: one place for pages and the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.apps import apps
from django.core.exceptions import PermissionDenied

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.jobs.models import Job


class JobRefused(CovidlitError):  # noqa: N818 (a refusal, not a fault)
    """A job that is not tried again."""


class Again(NamedTuple):
    """How jobs of a kind are tried again.

    Args:
        right: that it needs where the job is.
        row: model whose row the job is for, as its `job`; None: it is for none. A row that has
            another job by now, or none, does not want this one.
        never: what to do instead, where what it works on is gone once it has failed.
    """

    right: Right = Right.UPLOAD
    row: str | None = None
    never: str = ""


KINDS = {
    "take in": Again(row="intake.Upload"),
    "fetch": Again(row="intake.Upload"),
    "read a clinical table": Again(never="bring the table in again."),
    "measure": Again(),
    "correct": Again(Right.CORRECT, "correcting.Correction"),
    "export": Again(Right.EXPORT, "exporting.Export"),
    "send": Again(Right.SEND, "sending.Sending"),
}
"""By kind, for each of `settings.JOB_KINDS`."""


def check(job: Job, who: User) -> None:
    """Whether a person may try a job again, with its row held for the transaction.

    Raises:
        PermissionDenied: the right of its kind is lacking.
        JobRefused: its row has another job, or none; or it cannot go again.
    """
    kind = KINDS[job.kind]
    if not Job.objects.seen_by(who, kind.right).filter(pk=job.pk).exists():
        raise PermissionDenied
    if kind.never:
        raise JobRefused(
            "what it worked on is no longer here.", where=f"job {job.pk}", fix=kind.never
        )
    if kind.row is not None:
        rows = apps.get_model(kind.row).objects.select_for_update().filter(job_id=job.pk)
        if rows.first() is None:
            raise JobRefused(
                "another job took its place, or it was taken back.", where=f"job {job.pk}",
                fix="look at what it was for.",
            )  # fmt: skip


def which(jobs: Iterable[Job], who: User) -> set[int]:
    """Numbers of those jobs that a person may try again, by few questions for many jobs."""
    found: set[int] = set()
    over = [job for job in jobs if job.can_go_again]
    for name, kind in KINDS.items():
        own = {job.pk for job in over if job.kind == name}
        if not own or kind.never:
            continue
        if kind.row is not None:
            rows = apps.get_model(kind.row).objects.filter(job_id__in=own)
            own = set(rows.values_list("job_id", flat=True))
        seen = Job.objects.seen_by(who, kind.right).filter(pk__in=own)
        found |= set(seen.values_list("pk", flat=True))
    return found
