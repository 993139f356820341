"""Outlines of lesions on the slice where each is largest, for reports that show a place."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

_MOST_POINTS = 200
"""Of an outline: longer ones are thinned evenly, which a screen cannot show."""


class Outline(NamedTuple):
    """A lesion on the slice where it is largest.

    Args:
        slice_index: of the volume.
        lines: closed lines, each (n, 2) float64 (column, row); the first pixel's centre is (0, 0).
    """

    slice_index: int
    lines: tuple[NDArray[np.float64], ...]


def outlines(instances: NDArray[np.integer[Any]]) -> dict[int, Outline]:
    """The outline of every lesion of a volume.

    Args:
        instances: (slices, rows, columns), 0 or the number of a lesion.
    """
    found = {}
    for number, box in enumerate(ndimage.find_objects(instances), start=1):
        if box is None:
            continue
        part = instances[box] == number
        k = int(part.sum(axis=(1, 2)).argmax())
        corner = np.array([box[2].start, box[1].start], dtype=np.float64)
        lines = tuple(line + corner for line in _lines(part[k]))
        found[number] = Outline(box[0].start + k, lines)
    return found


def _lines(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """The outer outlines of a mask, (column, row); holes are left out."""
    filled = ndimage.binary_fill_holes(mask)
    lines = []
    # A border of nothing closes the outlines at the edge of the box.
    for line in find_contours(np.pad(filled, 1).astype(np.float64), 0.5):
        points = line[:, ::-1] - 1.0
        if len(points) > _MOST_POINTS:
            keep = np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int)
            points = points[keep]
        lines.append(points)
    return lines
