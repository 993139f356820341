"""A slice of a scan as the answer to a request, with whatever labels lie over it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from covidlit.platform.registry.files import scan_planes
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.drawing import WINDOWS, draw
from covidlit.platform.viewing.planes import AXIAL, Planes


def volume_of(scan: Scan, axis: str = AXIAL) -> Planes:
    """The Hounsfield units of a scan, by slice.

    Raises:
        FileNotFoundError: there are none.
    """
    return Planes(scan_planes(scan), axis)


def labels_of_plane(labels: Planes, scan: Scan, index: int, axis: str = AXIAL) -> Any:
    """Classes and numbers of a plane of a scan; None twice where the labels do not cover it."""
    covers = index < len(labels) and labels.shape == volume_of(scan, axis).shape
    return labels.plane(index) if covers else (None, None)


def picture_of(
    request: HttpRequest, scan: Scan, index: int, labels: Any, axis: str = AXIAL
) -> HttpResponse:
    """A slice as PNG.

    Args:
        request: `window` and `lesion` in its address.
        scan: whose slice.
        index: from the feet, the front or the right.
        labels: classes and numbers of its pixels, or None twice.
        axis: in `AXES`.

    Raises:
        Http404: a window or lesion that is none.
    """
    window = request.GET.get("window", "lung")
    number = request.GET.get("lesion", "")
    if window not in WINDOWS or not (number.isdecimal() or not number):
        raise Http404
    volume = volume_of(scan, axis)
    picture = draw(
        volume.plane(index), volume.spacing, window, labels[0], labels[1],
        int(number[:9]) if number else None,
    )  # fmt: skip
    response = HttpResponse(picture, content_type="image/png")
    # The browser keeps it while the address is the same, and nobody between keeps it at all.
    response["Cache-Control"] = "private, max-age=60"
    return response
