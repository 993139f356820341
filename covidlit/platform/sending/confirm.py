"""What a person confirms to be sent, and has tried again."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.jobs.models import JobState
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.registry.followed import group_following
from covidlit.platform.registry.models import Labelling
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.sending.models import Sending, SentObject, SentState
from covidlit.platform.sending.send import Archive

KIND = "send"


def confirm(who: User, labelling: Labelling, archive: Archive, uids: Collection[str]) -> Sending:
    """Have objects sent; confirmed while the same are on their way there, it is that sending.

    Args:
        who: confirms it; may send the scan.
        labelling: whose objects they are.
        archive: one of those for its centre.
        uids: SOPInstanceUIDs of the objects, as the person saw them.

    Raises:
        CovidlitError: none, or one that is not among the labelling's.
    """
    wanted = [each for each in objects_of(labelling) if each.sop_instance_uid in uids]
    if not wanted or len(wanted) < len(uids):
        raise CovidlitError(
            "no object was chosen, or not all that were are there any more.",
            where="objects", fix="look at the list again.",
        )  # fmt: skip
    sums = {each.sop_instance_uid: each.sha256() for each in wanted}
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
        raise CovidlitError(
            "no study group of the patient follows this disease.", where=patient.pseudonym,
            fix="have the patient put into one that does.",
        )  # fmt: skip
    sending.job = enqueue(KIND, who, patient.centre, group, sending=sending.pk)
    sending.save(update_fields=["job", "confirmed_by"])
