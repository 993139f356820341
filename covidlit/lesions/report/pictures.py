"""Pictures of the patient report, as PNG data URIs: key slices, and the lesions from two sides."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidlit.dicom.out.key_slices import choose_key_slices, contour_classes, grey
from covidlit.dicom.out.terms import CLASS_TERMS
from covidlit.scans.lesion_labels import FIRST_LESION
from covidlit.scans.scan import Scan

_MARGIN_MM = 25.0
_GREYS = 249
"""Greys of a palette; the rest of its 256 entries are the colours of the classes."""

_PIXEL_MM = 1.0
_HALF_THICKNESS_MM = 120.0
"""Thickness of lung that looks half as dark as could be, in the views from two sides."""


def key_slice_pictures(scan: Scan, classes: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """The key slices with contours, cut to the lungs, as radiologists look at them.

    Args:
        scan: canonical, so that the patient's right is on the left of the picture.
        classes: (z, y, x), contract 7.

    Returns:
        (caption, PNG data URI) of each, from the feet to the head.
    """
    rows, columns = _window(classes, scan.spacing)
    spacing = scan.spacing
    found = []
    for k in choose_key_slices(classes):
        plane = classes[k, rows, columns]
        picture = grey(scan.hu[k, rows, columns])
        indexed = np.rint(picture * ((_GREYS - 1) / 255.0)).astype(np.uint8)
        border = contour_classes(plane)
        indexed = np.where(border > 0, _GREYS + border, indexed).astype(np.uint8)
        middle = scan.affine @ [k, classes.shape[1] / 2, classes.shape[2] / 2, 1]
        areas = ", ".join(
            f"{terms.label.lower()} {area * spacing[1] * spacing[2] / 100:.1f} cm²"
            for value, terms in CLASS_TERMS.items()
            if value >= FIRST_LESION and (area := int((plane == value).sum()))
        )
        caption = f"Slice {k + 1} of {len(classes)}, z = {middle[2]:.1f} mm: {areas or 'no lesion'}"
        found.append((caption, _png(indexed, spacing[1] / spacing[2], palette=True)))
    return found


def side_views(
    classes: NDArray[np.uint8], spacing: tuple[float, float, float]
) -> list[tuple[str, str]]:
    """The lungs as a shadow with the lesions in colour, from the front and from the left.

    Args:
        classes: (z, y, x), contract 7, canonical.
        spacing: mm, (z, y, x).

    Returns:
        (caption, PNG data URI) of each.
    """
    views = []
    for axis, caption in ((1, "From the front"), (2, "From the left")):
        # From the left the nearest voxel is the last one along x, which runs to the left.
        seen = classes if axis == 1 else np.flip(classes, 2)
        picture = _projected(seen, axis, spacing[axis])
        across = spacing[2] if axis == 1 else spacing[1]
        picture = _resampled(picture[::-1], spacing[0] / _PIXEL_MM, across / _PIXEL_MM)
        views.append((caption, _png(picture, 1.0)))
    return views


def _projected(classes: NDArray[np.uint8], axis: int, step_mm: float) -> NDArray[np.uint8]:
    """RGB (z, other): white paper, grey by thickness of lung, colour of the nearest lesion."""
    lung = ((classes >= 1) & (classes < 6)).sum(axis=axis) * step_mm
    grey_level = 255.0 * (0.35 + 0.65 * 0.5 ** (lung / _HALF_THICKNESS_MM))
    picture = np.repeat(grey_level[:, :, None], 3, axis=2)
    lesion = classes >= FIRST_LESION
    hit = lesion.any(axis=axis)
    depth = lesion.argmax(axis=axis)
    value = np.take_along_axis(classes, np.expand_dims(depth, axis), axis).squeeze(axis)
    shade = 1.0 - 0.5 * depth / max(1, classes.shape[axis] - 1)
    colours = np.zeros((max(CLASS_TERMS) + 1, 3))
    for number, terms in CLASS_TERMS.items():
        colours[number] = terms.rgb
    picture[hit] = colours[value[hit]] * shade[hit, None]
    return np.rint(picture).astype(np.uint8)


def _resampled(picture: NDArray[np.uint8], down: float, across: float) -> NDArray[np.uint8]:
    height, width = (
        max(1, round(size * factor))
        for size, factor in zip(picture.shape[:2], (down, across), strict=True)
    )
    rows = np.minimum((np.arange(height) + 0.5) / down, picture.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(width) + 0.5) / across, picture.shape[1] - 1).astype(int)
    return picture[rows][:, columns]


def _window(classes: NDArray[np.uint8], spacing: tuple[float, float, float]) -> tuple[slice, slice]:
    """Rows and columns that hold all that is labelled, with a margin."""
    labelled = (classes > 0).any(axis=0)
    if not labelled.any():
        return slice(None), slice(None)
    windows = []
    for axis in (0, 1):
        places = np.flatnonzero(labelled.max(axis=1 - axis))
        margin = round(_MARGIN_MM / spacing[axis + 1])
        first, last = int(places[0]) - margin, int(places[-1]) + margin
        windows.append(slice(max(0, first), last + 1))
    return windows[0], windows[1]


def _png(pixels: NDArray[Any], aspect: float, palette: bool = False) -> str:
    image = Image.fromarray(pixels)
    if palette:
        greys = [round(k * 255 / (_GREYS - 1)) for k in range(_GREYS)]
        colours = [(g, g, g) for g in greys] + [(0, 0, 0)]
        colours += [CLASS_TERMS[value].rgb for value in sorted(CLASS_TERMS)]
        image.putpalette([part for colour in colours for part in colour])
    if abs(aspect - 1) > 0.01:
        size = (image.width, max(1, round(image.height * aspect)))
        image = image.resize(size, Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
