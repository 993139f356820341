"""Asking for a training set, and taking it, as pages and the API do."""

from __future__ import annotations

from typing import BinaryIO

from django.db import transaction

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.places import place_named
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.audit.trail import record
from covidlit.platform.exporting.kept import archive_of
from covidlit.platform.exporting.models import Export
from covidlit.platform.jobs.models import OPEN
from covidlit.platform.jobs.queue import enqueue

KIND = "export"


class ExportRefused(CovidlitError):  # noqa: N818 (a refusal, not a fault)
    """A training set that is not made now."""


def exports_of(user: User) -> ScopedQuerySet[Export]:
    """A person's own exports, where he may still make them."""
    rows = Export.objects.seen_by(user, Right.EXPORT).filter(owner=user)
    return rows.select_related(
        "owner", "centre", "study_group", "job__owner", "job__centre", "job__study_group"
    )


def begin_export(user: User, centre: str, study_group: str) -> Export:
    """Have a training set made of a centre's and study group's corrected scans.

    Raises:
        PermissionDenied: the person may not export there, or there is no such place.
        ExportRefused: one of these is being made for him.
    """
    place = place_named(user, Right.EXPORT, centre, study_group)
    own = Export.objects.filter(owner=user, centre=place[0], study_group=place[1])
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # of two at once one waits here
        if own.filter(job__state__in=OPEN).exists():
            raise ExportRefused(
                "One of these is being made for you already.", where=f"{centre}, {study_group}",
                fix="wait for it, or have its job end.",
            )  # fmt: skip
        made = Export.objects.create(owner=user, centre=place[0], study_group=place[1])
        made.job = enqueue(KIND, user, *place, export=made.pk)
        made.save(update_fields=["job"])
        record(user, "asked for a training set", str(made), centre, {"group": study_group})
    return made


def open_archive(export: Export, user: User) -> BinaryIO | None:
    """The archive for whoever asked for it; None where it is not made yet, or removed."""
    archive = archive_of(export)
    if archive is None:
        return None
    record(user, "downloaded", str(export), export.centre.name, {"scans": export.n_scans})
    return archive.open("rb")
