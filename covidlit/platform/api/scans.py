"""Scans: what is known of them, their slices as pictures and as Hounsfield units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.api.labellings import labelling_answer
from covidlit.platform.api.operations import operation, raw
from covidlit.platform.api.schemas import Key, LabellingAnswer, Plane, ScanAnswer
from covidlit.platform.api.stored_planes import PLANE_HEADERS, check_index, plane_answer, planes_at
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.picture import KEPT, picture_of
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.views import newest_labellings

router = Router(tags=["scans"])
Window = Literal["lung", "soft", "bone"]


@operation(router, "GET", "/scans/{int:pk}", Right.VIEW, ScanAnswer)
def scan(request: HttpRequest, pk: Key) -> ScanAnswer:
    """A scan, with its newest labelling."""
    return scan_answers([_seen(request, pk)])[0]


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
    window: Window = "lung",
    labels: bool = True,
    lesion: Annotated[int | None, Query(ge=1, le=10**6)] = None,
) -> HttpResponse:
    """A slice as a picture, from the feet, with the outlines of the newest labelling."""
    found = _seen(request, pk)
    check_index(index, found.n_slices)
    picture = picture_of(found, index, window, labels, lesion)
    return HttpResponse(picture, content_type="image/png", headers={"Cache-Control": KEPT})


@operation(
    router, "GET", "/scans/{int:pk}/planes/{int:index}", Right.VIEW,
    extra=raw("application/octet-stream", **PLANE_HEADERS),
)  # fmt: skip
def plane_of_scan(request: HttpRequest, pk: Key, index: Plane) -> HttpResponse:
    """Hounsfield units of an axial plane, from the feet: int16, little-endian, row by row."""
    found = _seen(request, pk)
    check_index(index, found.n_slices)
    planes = planes_at(settings.FOLDER.scans / found.folder / "planes.zip")
    return plane_answer(planes.plane(index), planes)


def scan_answers(scans: Sequence[Scan]) -> list[ScanAnswer]:
    """Scans with their newest labelling; they have their patient with them."""
    newest = newest_labellings(list(scans))
    return [
        ScanAnswer(
            id=each.pk, scan_id=each.scan_id, patient=each.patient.pseudonym,
            acquired_on=each.acquired_on, modality=each.modality, n_slices=each.n_slices,
            spacing_mm=each.spacing_mm, notes=each.notes, added_at=each.added_at,
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
