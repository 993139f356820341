"""Polygons of COCO to masks and back.

Coordinates are x to the right, y down, from the upper left corner of the first pixel, whose centre
is at (0.5, 0.5). A pixel is inside where its centre is. Outlines run half-way between the centres
of pixels inside and outside (`skimage.measure.find_contours` at 0.5), so that filling them gives
the mask back to the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

Ring = NDArray[np.float64]
"""(points, 2) x and y of a closed outline, the last point joined to the first."""

_CROSSINGS = 1 << 20
"""How many crossings of an outline with the rows of an image are held at a time."""


def fill(rings: Sequence[Ring], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (rows, columns) of one object's rings.

    Rings are pieces of the object. One that lies inside another is a hole of it, and one inside a
    hole a piece again, as tools mean it that have no other way to write a hole.
    """
    found = np.zeros(shape, bool)
    mask, (top, left) = fill_box(rings, shape)
    found[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return found


def pixels_of(rings: Sequence[Ring], shape: tuple[int, int]) -> int:
    """How many pixels the boxes around one object's rings hold: what filling them takes."""
    sides = [_box_of(ring, shape) for ring in rings]
    return sum(max(0, y1 - y0) * max(0, x1 - x0) for y0, x0, y1, x1 in sides)


def fill_box(
    rings: Sequence[Ring], shape: tuple[int, int]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """The mask of one object's rings in the smallest box around it, and the box's first pixel.

    Args:
        rings: see `fill`.
        shape: of the image (rows, columns); its pixels take no memory.
    """
    pieces = [piece for ring in rings if (piece := _boxed(ring, shape)) is not None]
    if not pieces:
        return np.zeros((0, 0), np.bool_), (0, 0)
    pieces.sort(key=lambda piece: np.count_nonzero(piece.mask), reverse=True)
    boxes = np.array([piece.box for piece in pieces])
    top, left = (int(first) for first in boxes[:, :2].min(axis=0))
    bottom, right = (int(last) for last in boxes[:, 2:].max(axis=0))
    found = np.zeros((bottom - top, right - left), np.bool_)
    for k, piece in enumerate(pieces):
        y0, x0, y1, x1 = piece.box
        # Only a piece whose box holds that of this one can lie around it: of many small ones, few.
        larger = boxes[:k]
        holds = (larger[:, :2] <= (y0, x0)).all(axis=1) & (larger[:, 2:] >= (y1, x1)).all(axis=1)
        around = sum(_lies_around(pieces[other], piece) for other in np.flatnonzero(holds))
        place = found[y0 - top : y1 - top, x0 - left : x1 - left]
        place[piece.mask] = around % 2 == 0
    return found, (top, left)


class _Piece(NamedTuple):
    """What one ring fills: the smallest box (first row, column, last ones + 1), the mask in it."""

    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


def _boxed(ring: Ring, shape: tuple[int, int]) -> _Piece | None:
    """The pixels that one ring fills; None where there are none."""
    y0, x0, y1, x1 = _box_of(ring, shape)
    if y1 <= y0 or x1 <= x0:
        return None
    mask = _fill_one(ring - (x0, y0), (y1 - y0, x1 - x0))
    if not mask.any():
        return None
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    box = int(y0 + top), int(x0 + left), int(y0 + bottom), int(x0 + right)
    return _Piece(box, mask[top:bottom, left:right])


def _box_of(ring: Ring, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Of the pixels that a ring can fill: first row, column, last ones + 1."""
    x, y = ring.T
    y0, x0 = max(0, int(np.floor(y.min()))), max(0, int(np.floor(x.min())))
    y1, x1 = min(shape[0], int(np.ceil(y.max()))), min(shape[1], int(np.ceil(x.max())))
    return y0, x0, y1, x1


def _lies_around(other: _Piece, piece: _Piece) -> bool:
    """Whether the other piece holds all of a piece, and more."""
    y0, x0, y1, x1 = piece.box
    top, left, _, _ = other.box
    part = other.mask[y0 - top : y1 - top, x0 - left : x1 - left]
    larger = np.count_nonzero(other.mask) > np.count_nonzero(piece.mask)
    return bool(larger and (part | ~piece.mask).all())


def outlines(mask: NDArray[np.generic]) -> tuple[list[Ring], bool]:
    """The outlines of a mask (rows, columns), and whether it has holes, which they do not tell."""
    padded = np.pad(np.asarray(mask, dtype=np.float64), 1)
    rings, holes = [], False
    for contour in find_contours(padded, 0.5, fully_connected="high"):
        ring = contour[:-1, ::-1] - 0.5  # from padded centres (y, x) to corners (x, y)
        x, y = ring.T
        # Around what is set they turn one way, around a hole the other.
        holes |= bool(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) < 0)
        rings.append(ring)
    return rings, holes


def _fill_one(ring: Ring, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centres one ring winds around an odd number of times."""
    rows, columns = shape
    x0, y0 = ring.T
    x1, y1 = np.roll(ring, -1, axis=0).T
    # A row at y is crossed where low <= y < high: a corner on it counts once.
    low, high = np.minimum(y0, y1), np.maximum(y0, y1)
    first = np.clip(np.ceil(low - 0.5), 0, rows).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, rows).astype(np.int64)
    crossed = last - first
    flips = np.zeros((rows, columns + 1), np.uint8)  # of which only odd or even counts
    start = 0
    ends = np.cumsum(crossed)
    while start < len(ring):
        taken = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _CROSSINGS, "right"))
        part = slice(start, max(taken, start + 1))
        edge = np.repeat(np.arange(len(ring))[part], crossed[part])
        within = np.arange(len(edge)) - np.repeat(
            np.cumsum(crossed[part]) - crossed[part], crossed[part]
        )
        row = first[edge] + within
        slope = (row + 0.5 - y0[edge]) / (y1[edge] - y0[edge])
        at = x0[edge] + slope * (x1[edge] - x0[edge])
        column = np.clip(np.floor(at - 0.5) + 1, 0, columns).astype(np.int64)
        np.add.at(flips, (row, column), 1)
        start = part.stop
    np.cumsum(flips, axis=1, out=flips)
    flips &= 1
    return flips[:, :-1].astype(np.bool_)
