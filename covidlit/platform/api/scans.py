"""Scans: what is known of them, their slices as pictures and as Hounsfield units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.authenticate import Caller
from covidlit.platform.api.labellings import labelling_answer
from covidlit.platform.api.operations import operation, raw
from covidlit.platform.api.schemas import Key, LabellingAnswer, Of, Plane, ScanAnswer
from covidlit.platform.api.stored_planes import (
    PLANE_HEADERS,
    check_index,
    plane_answer,
    planes_at,
)
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.files import label_planes, scan_planes
from covidlit.platform.registry.followed import (
    chosen,
    diseases_seen,
    newest_labelling,
    newest_labellings,
)
from covidlit.platform.registry.models import Patient, Scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.shown import may_read_notes
from covidlit.platform.viewing.slices import labels_of_plane, picture_of

router = Router(tags=["scans"])
Axis = Literal["axial", "coronal", "sagittal"]
Window = Literal["lung", "soft", "bone"]
Lesion = Annotated[int | None, Query(ge=1, le=10**6)]


@operation(router, "GET", "/scans/{int:pk}", Right.VIEW, ScanAnswer)
def scan(request: HttpRequest, pk: Key, disease: Of = None) -> ScanAnswer:
    """A scan, with its newest labelling of a disease."""
    return scan_answers(request, [_seen(request, pk)], disease)[0]


@operation(router, "GET", "/scans/{int:pk}/labellings", Right.VIEW, list[LabellingAnswer])
def labellings_of_scan(request: HttpRequest, pk: Key, disease: Of = None) -> list[LabellingAnswer]:
    """The labellings of a scan, the newest first; by default of all diseases that one may see."""
    found = _seen(request, pk)
    rows = found.labellings.seen_by(person(request), Right.VIEW).select_related("corrected_by")
    if disease is not None:
        rows = rows.filter(disease=disease_asked(request, found.patient, disease).name)
    return [labelling_answer(each) for each in rows]


@operation(
    router, "GET", "/scans/{int:pk}/slices/{int:index}.png", Right.VIEW, extra=raw("image/png")
)
def slice_of_scan(
    request: HttpRequest,
    pk: Key,
    index: Plane,
    axis: Axis = "axial",
    window: Window = "lung",
    labels: bool = True,
    lesion: Lesion = None,
    disease: Of = None,
) -> HttpResponse:
    """A slice as a picture, from the feet, front or right, with the newest labelling's outlines."""
    found = _seen(request, pk)
    check_index(index, len(planes_at(scan_planes(found), axis)))
    name = disease_asked(request, found.patient, disease).name
    newest = newest_labelling(found, name) if labels else None
    both: Any = (None, None)
    if newest is not None:
        both = labels_of_plane(planes_at(label_planes(newest), axis), found, index, axis)
    return picture_of(request, found, index, both, axis)  # which asks for window and lesion too


@operation(
    router, "GET", "/scans/{int:pk}/planes/{int:index}", Right.VIEW,
    extra=raw("application/octet-stream", **PLANE_HEADERS),
)  # fmt: skip
def plane_of_scan(request: HttpRequest, pk: Key, index: Plane) -> HttpResponse:
    """Hounsfield units of an axial plane, from the feet: int16, little-endian, row by row."""
    found = _seen(request, pk)
    check_index(index, found.n_slices)
    planes = planes_at(scan_planes(found))
    return plane_answer(planes.plane(index), planes)


def disease_asked(
    request: HttpRequest, patient: Patient, disease: str | None, right: Right = Right.VIEW
) -> Disease:
    """The disease that a call is about: the one it names, or the first of the patient.

    Raises:
        Http404: the caller may not see it, or there is none.
    """
    return chosen(disease or "", diseases_seen(person(request), right, patient))


def scan_answers(
    request: HttpRequest, scans: Sequence[Scan], disease: str | None
) -> list[ScanAnswer]:
    """Scans of one patient, whom they have with them, with their newest labelling of a disease."""
    newest = (
        newest_labellings(scans, disease_asked(request, scans[0].patient, disease).name)
        if scans
        else {}
    )
    caller: Caller = request.auth
    rights = caller.rights()
    noted = bool(scans) and may_read_notes(caller.user, scans[0].patient_id, rights)
    return [
        ScanAnswer(
            id=each.pk, scan_id=each.scan_id, patient=each.patient.pseudonym,
            acquired_on=each.acquired_on, modality=each.modality, n_slices=each.n_slices,
            spacing_mm=each.spacing_mm, notes=each.notes if noted else "", added_at=each.added_at,
            labelling=labelling_answer(newest[each.pk]) if each.pk in newest else None,
        )
        for each in scans
    ]  # fmt: skip


def _seen(request: HttpRequest, pk: int) -> Scan:
    """A scan that the caller may see, and now has looked at."""
    rows = Scan.objects.select_related("patient__centre")
    found = one_seen_by(rows, person(request), Right.VIEW, pk=pk)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    return found
