"""What a person does with a draft: begin, edit, undo, drop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from numpy.typing import NDArray

from covidlit.errors import CovidlitError
from covidlit.lesions.edits import Contour, EditKind, LabelEdit
from covidlit.platform.accounts.models import User
from covidlit.platform.audit.trail import record
from covidlit.platform.correcting.labels import edited, planes_of
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.models import Lesion, Scan
from covidlit.scans.lesion_labels import LabelError

MOST_EDITS = 500
"""Of a draft; more are saved as several corrections."""


class CorrectionRefused(CovidlitError):  # noqa: N818 (a refusal, not a fault)
    """Something that cannot be done with a draft or a correction now."""


class Effect(NamedTuple):
    """What an edit did on its slice.

    Args:
        more, less: pixels of its lesion.
        taken: pixels that were other lesions'.
        beside: pixels that were neither lung nor lesion.
    """

    more: int
    less: int
    taken: int
    beside: int


def draft_of(scan: Scan, disease: str, user: User) -> Correction | None:
    """The draft of a person for a scan and a disease."""
    rows = Correction.objects.select_related("corrects", "scan__patient__centre")
    return rows.filter(scan=scan, disease=disease, by=user, saved_at__isnull=True).first()


def waiting_for(scan: Scan, disease: str) -> Correction | None:
    """The correction of a scan for a disease that is saved, and not measured yet."""
    rows = Correction.objects.select_related("job", "by")
    own = rows.filter(scan=scan, disease=disease, saved_at__isnull=False)
    return own.filter(labelling__isnull=True).first()


def begin(scan: Scan, disease: str, user: User) -> Correction:
    """The person's draft: the one that is there, or a new one on the newest version.

    Args:
        scan: that he may correct for the disease.
        disease: name of it.
        user: the person.

    Raises:
        CorrectionRefused: the scan has not been measured, or a correction of it is being.
    """
    if (known := draft_of(scan, disease, user)) is not None:
        return known
    newest = newest_labelling(scan, disease)
    if newest is None:
        raise CorrectionRefused(
            "it has not been measured yet.", where=f"scan {scan.scan_id}", fix="wait for that."
        )
    if (other := waiting_for(scan, disease)) is not None:
        raise CorrectionRefused(
            f"a correction by {other.by} is saved and not measured yet.",
            where=f"scan {scan.scan_id}", fix="begin when it is.",
        )  # fmt: skip
    try:
        with transaction.atomic():
            found = Correction.objects.create(scan=scan, disease=disease, corrects=newest, by=user)
            _note(found, "began to correct")
    except IntegrityError:  # in another window, in the meantime
        own = Correction.objects.filter(scan=scan, disease=disease, by=user)
        return own.get(saved_at__isnull=True)
    return found


def add_edit(
    correction: Correction,
    kind: EditKind,
    lesion: int | None,
    slice_index: int | None = None,
    contour: Contour = (),
    class_value: int | None = None,
    leaves: int | None = None,
) -> tuple[Edit, Effect | None]:
    """One edit more, and what it did where it is of one slice.

    Args:
        correction: a draft.
        lesion: its number; None for a new one, which gets the next that the scan never had.
        kind, slice_index, contour, class_value, leaves: see `LabelEdit`.

    Raises:
        LabelError: the edit cannot be, or changes nothing.
        CorrectionRefused: the draft is saved, dropped or full.
    """
    while True:  # until no other window was faster
        seen = as_it_is(correction)
        row, effect = _made(seen, kind, lesion, slice_index, contour, class_value, leaves)
        with transaction.atomic():
            if (own := locked_unchanged(seen)) is not None:
                row.save()
                _note(own, "edited lesions", {"edit": row.in_words})
                return row, effect


def _made(
    own: Correction,
    kind: EditKind,
    lesion: int | None,
    slice_index: int | None,
    contour: Contour,
    class_value: int | None,
    leaves: int | None,
) -> tuple[Edit, Effect | None]:
    """The edit after those of the draft as it was seen; not stored yet."""
    edits = list(own.edits.all())
    if len(edits) >= MOST_EDITS:
        raise CorrectionRefused(
            f"it has {MOST_EDITS} edits.", where=str(own), fix="save it, and begin another."
        )
    labels = edited(own)
    if lesion is None:
        lesion = next_number(own)
    edit = LabelEdit(kind, lesion, slice_index, contour, class_value, leaves)
    effect = None
    before = None
    if slice_index is not None:
        planes = planes_of(own.corrects)
        if slice_index >= len(planes):
            raise LabelError(
                "the labels do not cover this slice.", where=f"slice {slice_index + 1}",
                fix="have the scan measured anew.",
            )  # fmt: skip
        plane = planes.plane(slice_index)
        before = labels.slice_at(slice_index, *plane)
    labels.add(edit)
    if before is not None and slice_index is not None:
        after = labels.slice_at(slice_index, *plane)
        if all(np.array_equal(before[k], after[k]) for k in range(len(after))):
            raise LabelError(
                "it would change nothing on this slice.", where=f"lesion {lesion}",
                fix="choose the lesion, or draw where it is to change.",
            )  # fmt: skip
        effect = _effect(lesion, *before, *after)
        n_pixels = int(np.count_nonzero((before[1] != after[1]) | (before[0] != after[0])))
    else:
        n_pixels = None
    row = Edit(
        correction=own, number=max((each.number for each in edits), default=0) + 1,
        kind=kind.value, lesion=lesion, slice_index=slice_index,
        contour=[list(point) for point in contour], class_value=class_value, leaves=leaves,
        n_pixels=n_pixels,
    )  # fmt: skip
    return row, effect


def undo(correction: Correction) -> None:
    """Take the last edit back; nothing where there is none."""
    with transaction.atomic():
        own = locked(correction)
        last = own.edits.order_by("number").last()
        if last is not None:
            _note(own, "took back an edit", {"edit": last.in_words})
            last.delete()


def drop(correction: Correction) -> None:
    """Give a draft up."""
    with transaction.atomic():
        own = locked(correction)
        _note(own, "dropped a draft", {"edits": own.edits.count()})
        own.delete()


def as_it_is(correction: Correction) -> Correction:
    """A draft with its edits as they are now, to work with while others use the database.

    Raises:
        CorrectionRefused: it is no draft any more.
    """
    return _draft(Correction.objects.prefetch_related("edits"), correction)


def locked(correction: Correction) -> Correction:
    """A draft, held against other windows for the transaction.

    Raises:
        CorrectionRefused: it is no draft any more.
    """
    return _draft(Correction.objects.select_for_update(of=("self",)), correction)


def locked_unchanged(seen: Correction) -> Correction | None:
    """`locked`; None where another window has changed it since it was seen by `as_it_is`.

    Raises:
        CorrectionRefused: it is no draft any more.
    """
    own = locked(seen)
    last = own.edits.aggregate(last=Max("pk"))["last"]
    last_seen = max((row.pk for row in seen.edits.all()), default=None)
    return own if (own.corrects_id, last) == (seen.corrects_id, last_seen) else None


def _draft(rows: QuerySet[Correction], correction: Correction) -> Correction:
    found = rows.select_related("corrects", "scan__patient__centre", "by")
    own = found.filter(pk=correction.pk, saved_at__isnull=True).first()
    if own is None:
        raise CorrectionRefused(
            "it was saved or dropped in another window.", where="draft", fix="look at the scan."
        )
    return own


def next_number(correction: Correction, least: int = 1) -> int:
    """A number that no lesion has, of any version of the scan for the disease or of the draft.

    Args:
        correction: a draft.
        least: it is larger.
    """
    known = Lesion.objects.filter(
        labelling__scan=correction.scan_id, labelling__disease=correction.disease
    ).aggregate(n=Max("number"))
    own = correction.edits.aggregate(n=Max("lesion"))
    return max(least, known["n"] or 0, own["n"] or 0) + 1


def _note(correction: Correction, action: str, more: dict[str, object] | None = None) -> None:
    scan = correction.scan
    details = {"version": correction.corrects.version, **(more or {})}
    record(correction.by, action, f"scan {scan.scan_id}", scan.patient.centre.name, details)


def _effect(
    lesion: int,
    classes: NDArray[np.integer],
    instances: NDArray[np.integer],
    classes_after: NDArray[np.integer],
    after: NDArray[np.integer],
) -> Effect:
    now, then = after == lesion, instances == lesion
    won = now & ~then
    return Effect(
        int(np.count_nonzero(won)),
        int(np.count_nonzero(then & ~now)),
        int(np.count_nonzero(won & (instances > 0))),
        int(np.count_nonzero(won & (classes == 0))),
    )
