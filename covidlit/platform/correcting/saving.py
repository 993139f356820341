"""A draft that becomes the next version, or is told that another one was first."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from covidlit.lesions.edits import EditedLabels, EditKind, LabelEdit, touched
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record
from covidlit.platform.correcting.drafts import (
    CorrectionRefused,
    as_it_is,
    locked,
    locked_unchanged,
    next_number,
    waiting_for,
)
from covidlit.platform.correcting.labels import classes_of, planes_of
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.jobs.models import Job
from covidlit.platform.jobs.queue import enqueue
from covidlit.platform.registry.followed import group_following, newest_labelling
from covidlit.platform.registry.models import Labelling
from covidlit.scans.lesion_labels import LabelError

KIND = "correct"

OTHERWISE = "what it touches is otherwise on the newer version"


class NewerVersion(CorrectionRefused):
    """Another correction, or measurement, came first."""


def save(correction: Correction) -> Job:
    """Have a draft measured, which makes it the next version; the job.

    Raises:
        NewerVersion: the version that it corrects is not the newest, or is being corrected.
        CorrectionRefused: it has no edit, or is no draft.
    """
    try:
        with transaction.atomic():
            own = locked(correction)
            if not own.edits.filter(left_out="").exists():
                raise CorrectionRefused(
                    "it has no edit.", where="draft", fix="edit a lesion, or drop it."
                )
            _check_newest(own)
            own.saved_at = timezone.now()
            own.save(update_fields=["saved_at"])  # here the database refuses a second one
            _note(own.by, own, "saved a correction", {"edits": own.edits.count()})
            return _measured(own, own.by)
    except IntegrityError as error:
        raise _newer(correction) from error


def measure_again(correction: Correction, user: User) -> None:
    """Measure a saved correction whose job has failed once more, at another's asking.

    Raises:
        CorrectionRefused: it is being measured, or is.
    """
    with transaction.atomic():
        own = _stuck(correction)
        _note(user, own, "had a correction measured again")
        _measured(own, user)


def reopen(correction: Correction, user: User) -> None:
    """Make a saved correction that could not be measured its author's draft again.

    Raises:
        CorrectionRefused: it is being measured, or is, or its author has another draft.
    """
    try:
        with transaction.atomic():
            own = _stuck(correction)
            own.saved_at = own.job = None
            own.save(update_fields=["saved_at", "job"])
            _note(user, own, "took back a correction")
    except IntegrityError as error:
        raise CorrectionRefused(
            f"{correction.by} has another draft of this scan.", where=str(correction),
            fix="save or drop that one first.",
        ) from error  # fmt: skip


def renew(correction: Correction) -> list[Edit]:
    """Apply a draft's edits on the newest version, where they still apply; those that do not.

    An edit applies where what it touches, its lesion and the pixels in its contour, is the same on
    both versions. The others are kept in the draft with the reason, and change nothing. New lesions
    get new numbers where theirs were given meanwhile. A draft on the newest version stays as it is.

    Raises:
        CorrectionRefused: it is no draft.
    """
    while True:  # until no other window was faster
        seen = as_it_is(correction)
        newest, rows = _newest(seen), list(seen.edits.all())
        if newest.pk != seen.corrects_id:
            _apply(rows, seen, newest)
        left_out = [row for row in rows if row.left_out]
        with transaction.atomic():
            if (own := locked_unchanged(seen)) is None:
                continue
            if newest.pk != own.corrects_id:
                own.corrects = newest
                own.save(update_fields=["corrects"])
                Edit.objects.bulk_update(rows, ["left_out", "lesion"], batch_size=100)
                _note(own.by, own, "took a draft to", {"left out": len(left_out)})
            return left_out


def _apply(rows: list[Edit], own: Correction, newest: Labelling) -> None:
    """Say of each edit why it does not apply on a version; its lesion may get another number."""
    otherwise = _otherwise([row.as_label_edit() for row in rows], own.corrects, newest)
    labels = EditedLabels(classes_of(newest))
    renamed: dict[int, int] = {}
    for place, row in enumerate(rows):
        number = row.lesion
        if row.kind == EditKind.NEW:
            is_taken = number in labels.classes_of or number in labels.removed
            least = max([number, *renamed.values()])
            renamed[number] = next_number(own, least) if is_taken else number
        row.lesion = renamed.get(number, number)
        row.left_out = OTHERWISE if place in otherwise else ""
        if not row.left_out:
            try:
                labels.add(row.as_label_edit())
            except LabelError as error:
                row.left_out = error.what


def _otherwise(edits: list[LabelEdit], before: Labelling, after: Labelling) -> set[int]:
    """Places of the edits that touch what two versions have otherwise; each slice is read once."""
    drawn = {edit.lesion for edit in edits if edit.kind == EditKind.NEW}
    # Of a lesion of the draft on all slices: its pixels are those of other edits.
    asked = [
        (place, edit)
        for place, edit in enumerate(edits)
        if edit.slice_index is not None or edit.lesion not in drawn
    ]
    old, new = planes_of(before), planes_of(after)
    found: set[int] = set()
    for index in range(len(old)):
        own = [(place, edit) for place, edit in asked if edit.concerns(index)]
        if not own:
            continue
        (classes, instances), (other_classes, other) = old.plane(index), new.plane(index)
        differs = (classes != other_classes) | (instances != other)
        if not differs.any():
            continue
        for place, edit in own:
            about = touched(edit, instances)
            if edit.lesion not in drawn:
                about |= touched(edit, other)
            if (differs & about).any():
                found.add(place)
    return found


def _newest(own: Correction) -> Labelling:
    found = newest_labelling(own.scan, own.disease)
    assert found is not None  # a draft is of a version
    return found


def _check_newest(own: Correction) -> None:
    waiting = waiting_for(own.scan, own.disease)
    if _newest(own).pk != own.corrects_id or waiting is not None:
        raise _newer(own)


def _newer(correction: Correction) -> NewerVersion:
    waiting = waiting_for(correction.scan, correction.disease)
    newest = _newest(correction)
    by = waiting.by if waiting else newest.corrected_by or newest.labelled_by
    became = f"corrected by {by} and is being measured" if waiting else f"followed by one of {by}"
    return NewerVersion(
        f"version {correction.corrects.version}, which you began on, was {became}; yours was not "
        "saved, and is kept as a draft.",
        where=f"scan {correction.scan.scan_id}",
        fix="look at the newer version, then apply your edits on it or drop them.",
    )


def _stuck(correction: Correction) -> Correction:
    rows = Correction.objects.select_for_update(of=("self",)).select_related(
        "corrects", "scan__patient__centre", "by"
    )
    own = rows.filter(pk=correction.pk, saved_at__isnull=False, labelling__isnull=True).first()
    if own is None or own.job is None or not own.job.is_over:
        raise CorrectionRefused(
            "it is being measured, or is a version already.", where=str(correction),
            fix="look at the scan.",
        )  # fmt: skip
    return own


def _measured(own: Correction, user: User) -> Job:
    """Give a saved correction to the workers."""
    patient = own.scan.patient
    group = group_following(patient, own.disease, user, Right.CORRECT)
    if group is None:
        raise CorrectionRefused(
            "you may not correct it any more, or no study group of its patient follows this.",
            where="scan", fix="ask an administrator.",
        )  # fmt: skip
    own.job = enqueue(KIND, user, patient.centre, group, correction=own.pk)
    own.save(update_fields=["job"])
    return own.job


def _note(
    user: User, correction: Correction, action: str, more: dict[str, object] | None = None
) -> None:
    scan = correction.scan
    details = {"version": correction.corrects.version, **(more or {})}
    record(user, action, f"scan {scan.scan_id}", scan.patient.centre.name, details)
