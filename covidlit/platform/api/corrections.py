"""Lesions corrected: the caller's draft of a scan, its edits, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
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
from covidlit.platform.api.scans import disease_asked
from covidlit.platform.api.schemas import Key, Of
from covidlit.platform.correcting import drafts, saving
from covidlit.platform.correcting.drafts import CorrectionRefused
from covidlit.platform.correcting.labels import VALUE_OF
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.slices import volume_of
from covidlit.scans.lesion_labels import LESION_CLASSES, LabelError

router = Router(tags=["corrections"])


@operation(router, "GET", "/scans/{int:pk}/draft", Right.CORRECT, DraftAnswer | None)
def draft_of_scan(request: HttpRequest, pk: Key, disease: Of = None) -> DraftAnswer | None:
    """The caller's draft of a scan; null where there is none."""
    scan, own = _asked(request, pk, disease)
    found = drafts.draft_of(scan, own.name, person(request))
    return None if found is None else _answer(found)


@operation(router, "POST", "/scans/{int:pk}/draft", Right.CORRECT, DraftAnswer, status=201)
def begin_draft(request: HttpRequest, pk: Key, disease: Of = None) -> DraftAnswer:
    """Begin a draft on the newest version of a scan; one that is there is enough."""
    with _told():
        scan, own = _asked(request, pk, disease)
        return _answer(drafts.begin(scan, own.name, person(request)))


@operation(router, "POST", "/scans/{int:pk}/draft/edits", Right.CORRECT, EditedAnswer, status=201)
def add_edit(request: HttpRequest, pk: Key, body: NewEdit, disease: Of = None) -> EditedAnswer:
    """Edit a lesion in the draft; refused (422) where the edit cannot be, or changes nothing."""
    with _told():
        own = _draft(request, pk, disease)
        row, effect = drafts.add_edit(own, **_checked(body, own))
    return EditedAnswer(
        edit=_edit_answer(row), effect=None if effect is None else EffectAnswer(**effect._asdict())
    )


@operation(router, "POST", "/scans/{int:pk}/draft/undo", Right.CORRECT, DraftAnswer)
def undo_edit(request: HttpRequest, pk: Key, disease: Of = None) -> DraftAnswer:
    """Take the last edit of the draft back; nothing where there is none."""
    with _told():
        own = _draft(request, pk, disease)
        drafts.undo(own)
        return _answer(_draft(request, pk, disease))


@operation(router, "POST", "/scans/{int:pk}/draft/drop", Right.CORRECT, DraftAnswer | None)
def drop_draft(request: HttpRequest, pk: Key, disease: Of = None) -> DraftAnswer | None:
    """Give the draft up; then there is none."""
    with _told():
        drafts.drop(_draft(request, pk, disease))
    return None


@operation(router, "POST", "/scans/{int:pk}/draft/renew", Right.CORRECT, DraftAnswer)
def renew_draft(request: HttpRequest, pk: Key, disease: Of = None) -> DraftAnswer:
    """Apply the draft's edits on the newest version; those that do not apply say why."""
    with _told():
        saving.renew(_draft(request, pk, disease))
        return _answer(_draft(request, pk, disease))


@operation(
    router, "POST", "/scans/{int:pk}/draft/save", Right.CORRECT, CorrectionAnswer, status=202
)
def save_draft(request: HttpRequest, pk: Key, disease: Of = None) -> CorrectionAnswer:
    """Have the draft measured, which makes it the next version.

    Refused (409) where another version came first: the draft stays, and can be renewed.
    """
    with _told():
        own = _draft(request, pk, disease)
        saving.save(own)
    return _correction_answer(own.scan, own.disease)


@operation(router, "GET", "/scans/{int:pk}/correction", Right.VIEW, CorrectionAnswer)
def correction(request: HttpRequest, pk: Key, disease: Of = None) -> CorrectionAnswer:
    """How far the measurement of a scan's saved correction is."""
    rows = Scan.objects.select_related("patient")
    scan = one_seen_by(rows, person(request), Right.VIEW, pk=pk)
    return _correction_answer(scan, disease_asked(request, scan.patient, disease).name)


@contextmanager
def _told() -> Iterator[None]:
    """Tell what cannot be done now (409) from an edit that cannot be at all (422)."""
    try:
        yield
    except CorrectionRefused as error:
        raise ApiProblem(409, error.what, where=error.where, fix=error.fix) from error
    except LabelError as error:
        raise ApiProblem(422, error.what, where=error.where, fix=error.fix) from error


def _checked(body: NewEdit, draft: Correction) -> dict[str, Any]:
    """What `drafts.add_edit` takes.

    Raises:
        LabelError: something that the kind of edit needs is lacking or wrong.
    """
    kind, scan = EditKind(body.kind), draft.scan
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
        classes = settings.FOLDER.diseases[draft.disease].classes
        if body.class_name is None or body.class_name not in classes:
            raise LabelError(
                "the disease has no such class.", where="class_name",
                fix=f"choose one of {', '.join(classes)}.",
            )  # fmt: skip
        found["class_value"] = VALUE_OF[body.class_name]
    if body.leaves is not None:
        found["leaves"] = VALUE_OF[body.leaves]
    return found


def _given(value: int | None, name: str) -> int:
    if value is None:
        raise LabelError("it is missing.", where=name, fix="this kind of edit needs it.")
    return value


def _asked(request: HttpRequest, pk: int, disease: str | None) -> tuple[Scan, Disease]:
    """A scan that the caller may correct for a disease, and now has looked at."""
    rows = Scan.objects.select_related("patient__centre")
    found = one_seen_by(rows, person(request), Right.CORRECT, pk=pk)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    return found, disease_asked(request, found.patient, disease, Right.CORRECT)


def _draft(request: HttpRequest, pk: int, disease: str | None) -> Correction:
    scan, own = _asked(request, pk, disease)
    found = drafts.draft_of(scan, own.name, person(request))
    if found is None:
        raise CorrectionRefused("there is no draft.", where=f"scan {pk}", fix="begin one first.")
    return found


def _correction_answer(scan: Scan, disease: str) -> CorrectionAnswer:
    waiting, newest = drafts.waiting_for(scan, disease), newest_labelling(scan, disease)
    job = waiting.job if waiting else None
    return CorrectionAnswer(
        scan=scan.pk, disease=disease, version=newest.version if newest else None,
        by=waiting.by.get_username() if waiting else None, state=job.state if job else None,
        progress=job.progress if job else "", message=job.message if job else "",
    )  # fmt: skip


def _answer(row: Correction) -> DraftAnswer:
    newest = newest_labelling(row.scan, row.disease)
    return DraftAnswer(
        id=row.pk, scan=row.scan_id, disease=row.disease, corrects=row.corrects_id,
        version=row.corrects.version,
        is_old=newest is not None and newest.pk != row.corrects_id, began_at=row.made_at,
        edits=[_edit_answer(each) for each in row.edits.all()],
    )  # fmt: skip


def _edit_answer(row: Edit) -> EditAnswer:
    name = None if row.class_value is None else LESION_CLASSES[row.class_value]
    return EditAnswer(
        number=row.number, kind=row.kind, lesion=row.lesion, slice_index=row.slice_index,
        class_name=name, in_words=row.in_words, left_out=row.left_out,
    )  # fmt: skip
