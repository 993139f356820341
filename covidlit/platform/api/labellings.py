"""Labellings: factors and lesions, and the labels themselves as planes and as NIfTI."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from django.http import HttpRequest, HttpResponse
from ninja import Router

from covidlit.errors import CovidlitError
from covidlit.lesions.label_files import write_labels
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import ScopedQuerySet, one_seen_by
from covidlit.platform.api.operations import operation, raw
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.api.schemas import Key, LabellingAnswer, LesionAnswer, Plane
from covidlit.platform.api.stored_planes import (
    PLANE_HEADERS,
    check_index,
    plane_answer,
    planes_at,
)
from covidlit.platform.audit.trail import record
from covidlit.platform.registry.files import label_planes, scan_planes
from covidlit.platform.registry.models import Labelling
from covidlit.platform.viewing.planes import Planes
from covidlit.platform.viewing.seen import looked_at
from covidlit.scans.lesion_labels import LesionLabels

router = Router(tags=["labellings"])


@operation(router, "GET", "/labellings/{int:pk}", Right.VIEW, LabellingAnswer)
def labelling(request: HttpRequest, pk: Key) -> LabellingAnswer:
    """A labelling with the factors of the scan by it."""
    return labelling_answer(_seen(request, pk))


@operation(router, "GET", "/labellings/{int:pk}/lesions", Right.VIEW, list[LesionAnswer])
def lesions(request: HttpRequest, pk: Key) -> list[LesionAnswer]:
    """The lesions of a labelling by number, each with its factors."""
    return [
        LesionAnswer(
            number=each.number, kind=each.kind, slice_index=each.slice_index, factors=each.factors
        )
        for each in _seen(request, pk).lesions.all()
    ]


@operation(
    router, "GET", "/labellings/{int:pk}/planes/{int:index}", Right.VIEW,
    extra=raw("application/octet-stream", **PLANE_HEADERS),
)  # fmt: skip
def plane_of_labelling(
    request: HttpRequest, pk: Key, index: Plane, of: Literal["classes", "instances"] = "classes"
) -> HttpResponse:
    """Labels of an axial plane: classes as uint8, or the numbers of lesions as int32."""
    found = _seen(request, pk)
    labels = planes_at(label_planes(found))
    check_index(index, len(labels))
    both = labels.plane(index)
    values = both[0].astype(np.uint8) if of == "classes" else both[1].astype(np.int32)
    return plane_answer(values, planes_at(scan_planes(found.scan)))


@operation(
    router, "GET", "/labellings/{int:pk}/labels.zip", Right.EXPORT, extra=raw("application/zip")
)
def labels(request: HttpRequest, pk: Key) -> HttpResponse:
    """Both label volumes (contract 7) as NIfTI in an archive: classes, and numbers of lesions."""
    found = one_seen_by(_rows(), person(request), Right.EXPORT, pk=pk)
    whole = _volumes(planes_at(label_planes(found)), planes_at(scan_planes(found.scan)))
    content = io.BytesIO()
    with TemporaryDirectory() as folder, ZipFile(content, "w", ZIP_STORED) as archive:
        try:
            paths = write_labels(Path(folder), found.scan.scan_id, whole)
        except CovidlitError as error:
            raise ApiProblem(
                409, error.what, where="the geometry of the scan",
                fix="take the planes one by one, which say where they lie (X-Affine).",
            ) from error  # fmt: skip
        for path in paths:
            archive.write(path, path.name)
    record(
        person(request), "exported", f"labels of scan {found.scan.scan_id}",
        found.scan.patient.centre.name, {"version": found.version},
    )  # fmt: skip
    name = f"{found.scan.scan_id}.v{found.version}.zip"
    return HttpResponse(
        content.getvalue(), content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def labelling_answer(row: Labelling) -> LabellingAnswer:
    """A labelling as it is answered."""
    return LabellingAnswer(
        id=row.pk, scan=row.scan_id, disease=row.disease, version=row.version,
        labelled_by=row.labelled_by,
        corrected_by=row.corrected_by.get_username() if row.corrected_by else None,
        corrects=row.corrects_id, made_at=row.made_at, factors=row.factors, changes=row.changes,
    )  # fmt: skip


def _rows() -> ScopedQuerySet[Labelling]:
    return Labelling.objects.select_related("scan__patient__centre", "corrected_by")


def _seen(request: HttpRequest, pk: int) -> Labelling:
    """A labelling that the caller may see, and now has looked at."""
    found = one_seen_by(_rows(), person(request), Right.VIEW, pk=pk)
    looked_at(request, f"scan {found.scan.scan_id}", found.scan.patient)
    return found


def _volumes(planes: Planes, geometry: Planes) -> LesionLabels:
    """The labels as volumes, filled plane by plane: all of them twice would be a gigabyte."""
    shape = (len(planes), *planes.plane(0).shape[1:])
    classes, instances = np.empty(shape, np.uint8), np.empty(shape, np.int32)
    for index in range(len(planes)):
        classes[index], instances[index] = planes.plane(index)
    return LesionLabels(classes, instances, geometry.affine)
