"""A scan as a volume that the browser turns: Hounsfield units, labels and surfaces, made small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from covidlit.lesions.report.scene import scene
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.registry.files import label_planes
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.viewing.planes import AXES, AXIAL, Planes
from covidlit.platform.viewing.positions import positions_of
from covidlit.platform.viewing.reduced import SIZES, ReducedLabels, reduced_labels, reduced_scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.slices import volume_of
from covidlit.scans.packed_nifti import packed_nifti


@require_GET
@page(Right.VIEW)
def volume(request: HttpRequest, pk: int, size: int) -> HttpResponse:
    """Hounsfield units as NIfTI, with at most so many voxels a side."""
    found = _seen(request, pk)
    small = reduced_scan(_planes(found), _checked(size))
    return _nifti(small.hu, small.affine)


@require_GET
@page(Right.VIEW)
def volume_labels(request: HttpRequest, pk: int, version: int, size: int) -> HttpResponse:
    """Numbers of the lesions of a version as NIfTI, in the voxels of `volume`."""
    small = _labels(_labelling(request, pk, version), _checked(size))
    return _nifti(small.instances, small.affine)


@require_GET
@page(Right.VIEW)
def volume_surfaces(request: HttpRequest, pk: int, version: int) -> JsonResponse:
    """Surfaces of the lungs and lesions of a version, and where its lesions are, LPS mm."""
    found = _labelling(request, pk, version)
    small = _labels(found, SIZES[-1])
    rows = [
        {"lesion_id": each.number, "class_name": each.kind,
         "volume_ml": each.factors.get("volume_ml") or 0.0}
        for each in found.lesions.all()
    ]  # fmt: skip
    lesions = pd.DataFrame(rows, columns=["lesion_id", "class_name", "volume_ml"])
    drawn = scene(small.classes, small.instances, lesions, small.affine)
    return _kept(JsonResponse({**drawn, "centres": small.centres}))


@require_GET
@page(Right.VIEW)
def positions(request: HttpRequest, pk: int) -> JsonResponse:
    """Where the planes of a scan lie along the axes of the patient, and where their pictures."""
    found = _seen(request, pk)
    try:
        planes = {axis: volume_of(found, axis) for axis in AXES}
    except FileNotFoundError as error:
        raise Http404 from error
    answer = {
        each.axis: {
            "address": reverse("slice", args=[pk, 0])
            if each.axis == AXIAL
            else reverse("plane", args=[pk, each.axis, 0]),
            **each._asdict(),
        }
        for each in positions_of(planes)
    }
    return JsonResponse(answer)


def _seen(request: HttpRequest, pk: int) -> Scan:
    """A scan that the person may see, and now has looked at."""
    rows = Scan.objects.select_related("patient__centre")
    found = one_seen_by(rows, person(request), Right.VIEW, pk=pk)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    return found


def _labelling(request: HttpRequest, pk: int, version: int) -> Labelling:
    """A version of a disease that the person may see, of a scan that he now has looked at."""
    rows = _seen(request, pk).labellings.seen_by(person(request), Right.VIEW)
    found = rows.filter(version=version).first()
    if found is None:
        raise Http404
    return found


def _checked(size: int) -> int:
    if size not in SIZES:
        raise Http404
    return size


def _planes(scan: Scan) -> Planes:
    try:
        return volume_of(scan)
    except FileNotFoundError as error:
        raise Http404 from error


def _labels(labelling: Labelling, size: int) -> ReducedLabels:
    try:
        labels = Planes(label_planes(labelling))
    except FileNotFoundError as error:
        raise Http404 from error
    return reduced_labels(labels, _planes(labelling.scan), size)


def _nifti(values: Any, affine: Any) -> HttpResponse:
    kind = np.int16 if values.max() <= np.iinfo(np.int16).max else np.int32
    content = packed_nifti(values, values.shape, kind, affine)
    return _kept(HttpResponse(content, content_type="application/gzip"))


def _kept(response: Any) -> Any:
    # As slices are: by the browser while the address is the same, and by nobody between.
    response["Cache-Control"] = "private, max-age=60"
    return response
