"""Lesions corrected: the caller's draft of a scan, its edits, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest
from ninja import Router

from covidlit.lesions.contours import checked_contour
from covidlit.lesions.edits import DRAWN, OF_ALL_SLICES, EditKind
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.correcting_schemas import (
    CorrectionAnswer,
    DraftAnswer,
    EditAnswer,
    EditedAnswer,
    EffectAnswer,
    NewEdit,
)
from covidlit.platform.api.operations import operation
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.api.schemas import Key
from covidlit.platform.correcting import drafts, saving
from covidlit.platform.correcting.drafts import CorrectionRefused
from covidlit.platform.correcting.labels import VALUE_OF
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.slices import volume_of
from covidlit.scans.lesion_labels import FIRST_LESION, LESION_CLASSES, LabelError

router = Router(tags=["corrections"])
_CLASSES = {name: value for name, value in VALUE_OF.items() if value >= FIRST_LESION}


@operation(router, "GET", "/scans/{int:pk}/draft", Right.CORRECT, DraftAnswer | None)
def draft_of_scan(request: HttpRequest, pk: Key) -> DraftAnswer | None:
    """The caller's draft of a scan; null where there is none."""
    found = drafts.draft_of(_scan(request, pk), person(request))
    return None if found is None else _answer(found)


@operation(router, "POST", "/scans/{int:pk}/draft", Right.CORRECT, DraftAnswer, status=201)
def begin_draft(request: HttpRequest, pk: Key) -> DraftAnswer:
    """Begin a draft on the newest version of a scan; one that is there is enough."""
    with _told():
        return _answer(drafts.begin(_scan(request, pk), person(request)))


@operation(router, "POST", "/scans/{int:pk}/draft/edits", Right.CORRECT, EditedAnswer, status=201)
def add_edit(request: HttpRequest, pk: Key, body: NewEdit) -> EditedAnswer:
    """Edit a lesion in the draft; refused (422) where the edit cannot be, or changes nothing."""
    with _told():
        own = _draft(request, pk)
        row, effect = drafts.add_edit(own, **_checked(body, own.scan))
    return EditedAnswer(
        edit=_edit_answer(row), effect=None if effect is None else EffectAnswer(**effect._asdict())
    )


@operation(router, "POST", "/scans/{int:pk}/draft/undo", Right.CORRECT, DraftAnswer)
def undo_edit(request: HttpRequest, pk: Key) -> DraftAnswer:
    """Take the last edit of the draft back; nothing where there is none."""
    with _told():
        own = _draft(request, pk)
        drafts.undo(own)
        return _answer(_draft(request, pk))


@operation(router, "POST", "/scans/{int:pk}/draft/drop", Right.CORRECT, DraftAnswer | None)
def drop_draft(request: HttpRequest, pk: Key) -> DraftAnswer | None:
    """Give the draft up; then there is none."""
    with _told():
        drafts.drop(_draft(request, pk))
    return None


@operation(router, "POST", "/scans/{int:pk}/draft/renew", Right.CORRECT, DraftAnswer)
def renew_draft(request: HttpRequest, pk: Key) -> DraftAnswer:
    """Apply the draft's edits on the newest version; those that do not apply say why."""
    with _told():
        saving.renew(_draft(request, pk))
        return _answer(_draft(request, pk))


@operation(
    router, "POST", "/scans/{int:pk}/draft/save", Right.CORRECT, CorrectionAnswer, status=202
)
def save_draft(request: HttpRequest, pk: Key) -> CorrectionAnswer:
    """Have the draft measured, which makes it the next version.

    Refused (409) where another version came first: the draft stays, and can be renewed.
    """
    with _told():
        own = _draft(request, pk)
        saving.save(own)
    return _correction_answer(own.scan)


@operation(router, "GET", "/scans/{int:pk}/correction", Right.VIEW, CorrectionAnswer)
def correction(request: HttpRequest, pk: Key) -> CorrectionAnswer:
    """How far the measurement of a scan's saved correction is."""
    return _correction_answer(one_seen_by(Scan.objects.all(), person(request), Right.VIEW, pk=pk))


@contextmanager
def _told() -> Iterator[None]:
    """Tell what cannot be done now (409) from an edit that cannot be at all (422)."""
    try:
        yield
    except CorrectionRefused as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    except LabelError as error:
        raise ApiProblem(422, error.what, where=error.where, fix=error.fix) from error


def _checked(body: NewEdit, scan: Scan) -> dict[str, Any]:
    """What `drafts.add_edit` takes.

    Raises:
        LabelError: something that the kind of edit needs is lacking or wrong.
    """
    kind = EditKind(body.kind)
    found: dict[str, Any] = {"kind": kind, "lesion": None}
    if kind != EditKind.NEW:
        found["lesion"] = _given(body.lesion, "lesion")
    if kind not in OF_ALL_SLICES:
        found["slice_index"] = _given(body.slice_index, "slice_index")
        if found["slice_index"] >= scan.n_slices:
            raise LabelError(
                f"there is no slice {body.slice_index}.", where="slice_index",
                fix=f"give 0 to {scan.n_slices - 1}.",
            )  # fmt: skip
    if kind in DRAWN:
        points = [(x, y) for x, y in body.contour]
        found["contour"] = checked_contour(points, volume_of(scan).shape)
    if kind in (EditKind.NEW, EditKind.RECLASSIFY):
        if body.class_name not in _CLASSES:
            raise LabelError(
                "there is no such class.", where="class_name",
                fix=f"choose one of {', '.join(_CLASSES)}.",
            )  # fmt: skip
        found["class_value"] = _CLASSES[body.class_name]
    if body.leaves is not None:
        found["leaves"] = VALUE_OF[body.leaves]
    return found


def _given(value: int | None, name: str) -> int:
    if value is None:
        raise LabelError("it is missing.", where=name, fix="this kind of edit needs it.")
    return value


def _scan(request: HttpRequest, pk: int) -> Scan:
    """A scan that the caller may correct, and now has looked at."""
    rows = Scan.objects.select_related("patient__centre")
    found = one_seen_by(rows, person(request), Right.CORRECT, pk=pk)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    return found


def _draft(request: HttpRequest, pk: int) -> Correction:
    found = drafts.draft_of(_scan(request, pk), person(request))
    if found is None:
        raise CorrectionRefused("there is no draft.", where=f"scan {pk}", fix="begin one first.")
    return found


def _correction_answer(scan: Scan) -> CorrectionAnswer:
    waiting, newest = drafts.waiting_for(scan), scan.labellings.first()
    job = waiting.job if waiting else None
    return CorrectionAnswer(
        scan=scan.pk, version=newest.version if newest else None,
        by=waiting.by.get_username() if waiting else None, state=job.state if job else None,
        progress=job.progress if job else "", message=job.message if job else "",
    )  # fmt: skip


def _answer(row: Correction) -> DraftAnswer:
    newest = row.scan.labellings.first()
    return DraftAnswer(
        id=row.pk, scan=row.scan_id, corrects=row.corrects_id, version=row.corrects.version,
        is_old=newest is not None and newest.pk != row.corrects_id, began_at=row.made_at,
        edits=[_edit_answer(each) for each in row.edits.all()],
    )  # fmt: skip


def _edit_answer(row: Edit) -> EditAnswer:
    name = None if row.class_value is None else LESION_CLASSES[row.class_value]
    return EditAnswer(
        number=row.number, kind=row.kind, lesion=row.lesion, slice_index=row.slice_index,
        class_name=name, in_words=row.in_words, left_out=row.left_out,
    )  # fmt: skip
