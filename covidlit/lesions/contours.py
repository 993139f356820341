"""Contours that a person draws on a slice, checked before anything is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.coco.polygons import fill
from covidlit.counted import counted
from covidlit.lesions.edits import Contour
from covidlit.scans.lesion_labels import LabelError

MOST_POINTS = 1000
"""Of a contour: a slice of 512 x 512 has no outline of a lesion that needs more."""


def checked_contour(points: Sequence[tuple[float, float]], shape: tuple[int, int]) -> Contour:
    """A contour, if it is one: without points that repeat the one before.

    Args:
        points: (x, y) in pixels of the slice, see `covidlit.lesions.edits.Contour`.
        shape: of the slice, (rows, columns).

    Raises:
        LabelError: points that are no numbers, too few or too many of them, one outside the slice,
            a contour that crosses or touches itself, or that no centre of a pixel lies in.
    """
    if len(points) > MOST_POINTS:
        raise LabelError(
            f"it has {len(points)} points, and at most {MOST_POINTS} are taken.", where="contour",
            fix="draw it with fewer points.",
        )  # fmt: skip
    ring = np.array(points, np.float64).reshape(-1, 2)
    if not np.isfinite(ring).all():
        raise LabelError("a point of it is no number.", where="contour", fix="draw it again.")
    ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
    if len(ring) < 3:
        raise LabelError(
            f"it has {counted(len(ring), 'different point')}, and needs three at least.",
            where="contour",
            fix="set a point at each corner of the lesion.",
        )  # fmt: skip
    rows, columns = shape
    outside = (ring < 0).any(axis=1) | (ring > (columns, rows)).any(axis=1)
    if outside.any():
        x, y = ring[outside][0]
        raise LabelError(
            f"the point ({x:g}, {y:g}) lies outside the slice of {columns} x {rows} pixels.",
            where="contour", fix="keep it within the picture.",
        )  # fmt: skip
    if _crosses_itself(ring):
        raise LabelError(
            "it crosses or touches itself, so what is inside is not clear.", where="contour",
            fix="draw it in one round; two pieces are two contours.",
        )  # fmt: skip
    if not fill([ring], shape).any():
        raise LabelError("no pixel has its centre inside.", where="contour", fix="draw it larger.")
    return tuple((float(x), float(y)) for x, y in ring)


def _crosses_itself(ring: NDArray[np.float64]) -> bool:
    """Whether two sides that do not follow each other have a point in common."""
    start, end = ring, np.roll(ring, -1, axis=0)

    def side(points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each line (row) on which side each point (column) lies."""
        along, to = (end - start)[:, None, :], points[None, :, :] - start[:, None, :]
        return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    apart = side(start) * side(end) > 0  # both ends of the other on one side of this line
    low, high = np.minimum(start, end), np.maximum(start, end)
    beside = ((low[:, None] > high[None]) | (high[:, None] < low[None])).any(axis=2)
    meet = ~(apart | apart.T | beside)
    n = len(ring)
    each = np.arange(n)
    for step in (0, 1, n - 1):  # itself, the next, the one before
        meet[each, (each + step) % n] = False
    return bool(meet.any())
