"""What a person confirms to be sent, and has tried again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.core.exceptions import PermissionDenied
from django.db import transaction

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.jobs.models import JobState
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.registry.followed import group_following, newest_labelling
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.sending.models import Sending, SentObject, SentState
from covidlit.platform.sending.send import Archive, archives_for

KIND = "send"


class SendingRefused(CovidlitError):  # noqa: N818 (a refusal, not a fault)
    """Objects that are not sent as they were asked for."""


def confirm_seen(
    who: User,
    scan: Scan,
    labelling_id: str,
    archive_name: str,
    uids: Collection[str],
    sums: Mapping[str, str] | None = None,
) -> Sending:
    """Have objects sent that a person saw and chose, by a page or the API.

    Args:
        who: confirms it; may send the scan.
        scan: whose objects.
        labelling_id: key of the labelling that he saw.
        archive_name: where they are to go.
        uids: SOPInstanceUIDs of those that he chose.
        sums: SHA-256 by SOPInstanceUID, of what he saw; None: as they are now.

    Raises:
        PermissionDenied: the scan's results may not go to that archive, or there is no such one.
        SendingRefused: there is a newer labelling, or other objects than he saw.
    """
    key = int(labelling_id) if labelling_id.isdecimal() and len(labelling_id) < 19 else 0
    labelling = scan.labellings.seen_by(who, Right.SEND).filter(pk=key).first()
    if labelling is None or newest_labelling(scan, labelling.disease) != labelling:
        raise SendingRefused(
            "The scan has a newer version than you saw: look at it again.",
            where=f"scan {scan.scan_id}", fix="confirm the objects of that one.",
        )  # fmt: skip
    archive = next((each for each in archives_for(labelling) if each.name == archive_name), None)
    if archive is None:
        raise PermissionDenied
    return confirm(who, labelling, archive, uids, sums)


def confirm(
    who: User,
    labelling: Labelling,
    archive: Archive,
    uids: Collection[str],
    seen: Mapping[str, str] | None = None,
) -> Sending:
    """Have objects sent; confirmed while the same are on their way there, it is that sending.

    Args:
        who: confirms it; may send the scan.
        labelling: whose objects they are.
        archive: one of those for its centre.
        uids: SOPInstanceUIDs of the objects, as the person saw them.
        seen: SHA-256 by SOPInstanceUID, where the person saw these too.

    Raises:
        SendingRefused: none, or one that is not among the labelling's, or another one than seen.
    """
    wanted = [each for each in objects_of(labelling) if each.sop_instance_uid in uids]
    if not wanted or len(wanted) < len(uids):
        raise SendingRefused(
            "no object was chosen, or not all that were are there any more.",
            where="objects", fix="look at the list again.",
        )  # fmt: skip
    sums = {each.sop_instance_uid: each.sha256() for each in wanted}
    if seen is not None and seen != sums:
        raise SendingRefused(
            "an object is another one than was seen.",
            where="objects",
            fix="look at the list again.",
        )
    scan = labelling.scan
    with transaction.atomic():
        Labelling.objects.select_for_update().get(pk=labelling.pk)  # of two at once one waits here
        if (under_way := _under_way(labelling, archive, sums)) is not None:
            return under_way
        sending = Sending.objects.create(
            labelling=labelling, archive=archive.name, address=archive.address, confirmed_by=who
        )
        SentObject.objects.bulk_create(
            SentObject(
                sending=sending, file=each.name, kind=each.kind, n_bytes=each.n_bytes,
                sop_instance_uid=each.sop_instance_uid, sha256=sums[each.sop_instance_uid],
            )
            for each in wanted
        )  # fmt: skip
        _enqueue(sending, who)
        record(
            who, "confirmed a sending", f"scan {scan.scan_id}", scan.patient.centre.name,
            {"sending": sending.pk, "archive": archive.name, "address": archive.address,
             "version": labelling.version, "objects": [each.name for each in wanted]},
        )  # fmt: skip
    return sending


def _under_way(labelling: Labelling, archive: Archive, sums: dict[str, str]) -> Sending | None:
    """The sending of exactly these objects to this archive that is not over."""
    waiting = SentObject.objects.exclude(state=SentState.SENT)
    found = labelling.sendings.filter(
        archive=archive.name, address=archive.address, parts__in=waiting,
        job__state__in=(JobState.WAITING, JobState.RUNNING),
    )  # fmt: skip
    for sending in found.distinct():
        if dict(sending.parts.values_list("sop_instance_uid", "sha256")) == sums:
            return sending
    return None


def try_again(who: User, sending: Sending) -> bool:
    """Have what was not sent tried again, in the name of whoever asks; False where it is not over.

    Args:
        who: asks for it; may send the scan.
        sending: of which something failed, or whose job was ended.
    """
    with transaction.atomic():
        own = Sending.objects.select_for_update().get(pk=sending.pk)
        left = own.parts.exclude(state=SentState.SENT)
        if not (own.job is None or own.job.is_over) or not left.exists():
            return False
        left.update(state=SentState.WAITING, said="")
        own.confirmed_by = who
        _enqueue(own, who)
        scan = own.labelling.scan
        record(
            who, "had a sending tried again", f"scan {scan.scan_id}", scan.patient.centre.name,
            {"sending": own.pk, "archive": own.archive},
        )  # fmt: skip
    return True


def _enqueue(sending: Sending, who: User) -> None:
    patient = sending.labelling.scan.patient
    # Its people see the job.
    group = group_following(patient, sending.labelling.disease, who, Right.SEND)
    if group is None:
        raise SendingRefused(
            "no study group of the patient follows this disease.", where=patient.pseudonym,
            fix="have the patient put into one that does.",
        )  # fmt: skip
    sending.job = enqueue(KIND, who, patient.centre, group, sending=sending.pk)
    sending.save(update_fields=["job", "confirmed_by"])
