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
from covidlit.platform.api.schemas import Key, LabellingAnswer, Plane, ScanAnswer
from covidlit.platform.api.stored_planes import (
    PLANE_HEADERS,
    check_index,
    plane_answer,
    planes_at,
)
from covidlit.platform.patients.views import newest_labellings
from covidlit.platform.registry.files import label_planes, scan_planes
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.shown import may_read_notes
from covidlit.platform.viewing.slices import picture_of

router = Router(tags=["scans"])
Axis = Literal["axial", "coronal", "sagittal"]
Window = Literal["lung", "soft", "bone"]
Lesion = Annotated[int | None, Query(ge=1, le=10**6)]


@operation(router, "GET", "/scans/{int:pk}", Right.VIEW, ScanAnswer)
def scan(request: HttpRequest, pk: Key) -> ScanAnswer:
    """A scan, with its newest labelling."""
    return scan_answers(request, [_seen(request, pk)])[0]


@operation(router, "GET", "/scans/{int:pk}/labellings", Right.VIEW, list[LabellingAnswer])
def labellings_of_scan(request: HttpRequest, pk: Key) -> list[LabellingAnswer]:
    """The labellings of a scan, the newest first."""
    rows = _seen(request, pk).labellings.select_related("corrected_by")
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
) -> HttpResponse:
    """A slice as a picture, from the feet, front or right, with the newest labelling's outlines."""
    found = _seen(request, pk)
    check_index(index, len(planes_at(scan_planes(found), axis)))
    newest = found.labellings.first() if labels else None
    both: Any = (None, None)
    if newest is not None:
        both = planes_at(label_planes(newest), axis).plane(index)
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


def scan_answers(request: HttpRequest, scans: Sequence[Scan]) -> list[ScanAnswer]:
    """Scans of one patient, whom they have with them, with their newest labelling."""
    newest = newest_labellings(list(scans))
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
