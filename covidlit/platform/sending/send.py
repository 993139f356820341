"""The job that sends what was confirmed, object by object, and writes down what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.process import Say
from covidlit.platform.pacs import dimse, stow
from covidlit.platform.pacs.errors import Refused, Unreachable
from covidlit.platform.pacs.patience import Patience
from covidlit.platform.pacs.settings import DicomwebArchive, DimseArchive
from covidlit.platform.pacs.web import Web
from covidlit.platform.registry.models import Labelling
from covidlit.platform.sending.dicom_objects import DicomObject, objects_of
from covidlit.platform.sending.models import Sending, SentObject, SentState

_AGAIN = "send again what was not sent, by the button of its page: what arrived stays as it is."

Archive = DicomwebArchive | DimseArchive


class Store(Protocol):
    """Stores an object; returns what the archive remarked, or raises Unreachable or Refused."""

    def __call__(self, path: Path, sop_instance_uid: str) -> str: ...


def send(job: Job, say: Say) -> None:
    """Send the objects of a sending that the archive has not confirmed to keep.

    Done again it goes on with those. An object that was sent just before the process was killed is
    sent again, which is harmless: it has the same SOPInstanceUID and the same content.

    Raises:
        CovidlitError: it may not be sent any more, or the archive does not keep all of it.
    """
    sending = Sending.objects.select_related(
        "labelling__scan__patient__centre", "confirmed_by"
    ).get(pk=job.arguments["sending"])
    sending.parts.exclude(state=SentState.SENT).update(state=SentState.WAITING, said="")
    parts = list(sending.parts.exclude(state=SentState.SENT))
    try:
        archive = allowed_archive(sending)
        _send_all(sending, archive, parts, say)
    except CovidlitError as error:
        for part in parts:
            if part.state == SentState.WAITING:
                _failed(part, str(error))
        arrived = _arrived(sending, say)
        raise type(error)(
            f"{error.what} {arrived}.", where=error.where, fix=error.fix or _AGAIN
        ) from error
    failed = [part for part in parts if part.state == SentState.FAILED]
    if failed:
        raise CovidlitError(
            f"{_arrived(sending, say)}, {len(failed)} have not.",
            where=f"archive {archive.name}",
            fix=f"see the reason beside each, and mend it; {_AGAIN}",
        )


def _arrived(sending: Sending, say: Say) -> str:
    """How many objects have arrived, in words, once it is over."""
    arrived, n = sending.parts.filter(state=SentState.SENT).count(), sending.parts.count()
    say("", arrived / n)
    return f"{arrived} of {n} objects have arrived"


def archives_for(labelling: Labelling) -> list[Archive]:
    """The archives of the settings that results of a labelling may be sent to."""
    centre = labelling.scan.patient.centre.name
    return [each for each in settings.FOLDER.settings.destinations if each.is_for(centre)]


def allowed_archive(sending: Sending) -> Archive:
    """The archive that was confirmed, if it is still that one, and may still be sent to.

    Raises:
        CovidlitError: it is not, or whoever confirmed it may not send this scan any more.
    """
    who = User.objects.get(pk=sending.confirmed_by_id)
    if not Labelling.objects.seen_by(who, Right.SEND).filter(pk=sending.labelling_id).exists():
        raise CovidlitError(
            "whoever confirmed it may not send this scan any more.", where=str(sending),
            fix="have it confirmed by somebody who may.",
        )  # fmt: skip
    for archive in archives_for(sending.labelling):
        if archive.name == sending.archive:
            if archive.address != sending.address:
                raise CovidlitError(
                    "it has another address now than when it was confirmed.",
                    where=f"archive {archive.name}",
                    fix="confirm it anew on the scan's page.",
                )
            return archive
    raise CovidlitError(
        "it is not among the archives of this centre any more.",
        where=f"archive {sending.archive}",
        fix="set it under [[destinations]] in platform.toml, or send it to another one.",
    )


def _send_all(sending: Sending, archive: Archive, parts: Sequence[SentObject], say: Say) -> None:
    """Send objects in turn; while the archive is gone, ask again after growing pauses."""
    files = {each.sop_instance_uid: each for each in objects_of(sending.labelling)}
    left = [part for part in parts if _is_as_confirmed(part, files)]
    patience = Patience(archive)
    while left:
        try:
            with _connected(archive, [files[p.sop_instance_uid].path for p in left]) as store:
                while left:
                    number = len(parts) - len(left) + 1
                    say(f"object {number} of {len(parts)}", (number - 1) / len(parts))
                    allowed_archive(sending)
                    _send_one(sending, left[0], files[left[0].sop_instance_uid].path, store)
                    left.pop(0)
                    patience.renew()
        except Unreachable as error:
            patience.wait(error, say, 1 - len(left) / len(parts))


@contextmanager
def _connected(archive: Archive, paths: Sequence[Path]) -> Iterator[Store]:
    if isinstance(archive, DicomwebArchive):
        with Web(archive) as web:
            yield lambda path, sop_instance_uid: stow.store(web, path, sop_instance_uid)
    else:
        with dimse.associated(archive, paths) as association:
            yield lambda path, sop_instance_uid: dimse.store(association, path)


def _send_one(sending: Sending, part: SentObject, path: Path, store: Store) -> None:
    """Send an object; it stays as waiting where the archive is gone."""
    try:
        said = store(path, part.sop_instance_uid)
    except Refused as error:
        _failed(part, str(error))
        return
    part.state, part.said, part.tried_at = SentState.SENT, said, timezone.now()
    scan = sending.labelling.scan
    with transaction.atomic():
        part.save(update_fields=["state", "said", "tried_at"])
        record(
            sending.confirmed_by, "sent", f"scan {scan.scan_id}", scan.patient.centre.name,
            {"sending": sending.pk, "object": part.file, "archive": sending.archive},
        )  # fmt: skip


def _is_as_confirmed(part: SentObject, files: dict[str, DicomObject]) -> bool:
    """Whether an object is still the file that was confirmed; failed where it is not."""
    found = files.get(part.sop_instance_uid)
    if found is not None and found.sha256() == part.sha256:
        return True
    _failed(part, "The file is gone or another one than that which was confirmed.")
    return False


def _failed(part: SentObject, why: str) -> None:
    part.state, part.said, part.tried_at = SentState.FAILED, why, timezone.now()
    part.save(update_fields=["state", "said", "tried_at"])
