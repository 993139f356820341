"""Long diameters: the largest distance between two points of a lesion's surface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

_BLOCK = 512
_FEW = 200  # points, up to which all pairs are cheaper than a hull


def row_ends(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first and the last voxel of each row along the last axis, (n, axes of the mask).

    No other voxel can be the end of a longest distance.
    """
    rows = np.nonzero(mask.any(axis=-1))
    lines = mask[rows]
    first = lines.argmax(axis=-1)
    last = mask.shape[-1] - 1 - lines[:, ::-1].argmax(axis=-1)
    at = np.stack(rows, axis=1)
    return np.concatenate([np.column_stack([at, first]), np.column_stack([at, last])])


def longest(points: NDArray[np.intp], spacing: Sequence[float]) -> float:
    """The largest distance between centres of outer faces of voxels, mm.

    A face's centre lies half a voxel from the voxel's centre along one axis, so that between voxels
    a vector d apart the largest distance is that of d with |d_k| + s_k for the best axis k.

    Args:
        points: (n, axes), indices of voxels.
        spacing: in mm, of the axes.
    """
    steps = np.asarray(spacing, np.float64)
    at = points * steps
    if len(at) > _FEW:
        at = _far_out(at, float(steps.max()))
    if len(at) > _FEW:
        at = _hull(at)
    best = 0.0
    for start in range(0, len(at), _BLOCK):
        squared: Any = 0.0
        more: Any = 0.0
        for axis, step in enumerate(steps):
            column = at[:, axis]
            apart = np.abs(column[start : start + _BLOCK, None] - column)
            squared = squared + apart * apart
            apart *= 2 * step
            apart += step * step
            more = np.maximum(more, apart)
        best = max(best, float((squared + more).max()))
    return float(np.sqrt(best))


def _far_out(points: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Those that can be an end of the longest distance, which is at least that of two of them.

    Args:
        points: (n, axes), centres of voxels, mm.
        step: by which faces' centres make distances longer at most, mm.
    """
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    out = points - middle
    away = np.sqrt(np.einsum("ij,ij->i", out, out))
    start = int(away.argmax())
    least = 0.0
    for _ in range(3):  # from one end to the farthest, and on from there
        apart = points - points[start]
        squared = np.einsum("ij,ij->i", apart, apart)
        start = int(squared.argmax())
        least = max(least, float(squared[start]))
    far = np.sqrt(least) - step - float(away.max())
    return points[away >= far - 1e-6]


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    wide = np.ptp(points, axis=0) > 0
    flat = points[:, wide]
    if flat.shape[1] < 2:
        return points[[int(flat[:, 0].argmin()), int(flat[:, 0].argmax())]]
    try:
        corners: NDArray[np.float64] = points[ConvexHull(flat).vertices]
    except QhullError:  # in one plane or line that no axis is at right angles to
        return points
    return corners


def diameter_3d(ends: NDArray[np.intp], spacing: Sequence[float]) -> float:
    """Maximum 3D long diameter of a lesion, mm.

    The largest distance between two face centres of its surface voxels. IBSI: maximum 3D diameter
    (2.1.11, L0JK), the largest distance between two vertices of the mesh, which at 0.5 of a binary
    mask are the face centres.

    Args:
        ends: indices (z, y, x) of `row_ends`.
        spacing: in mm, (z, y, x).
    """
    return longest(ends, spacing)


def diameter_2d(ends: NDArray[np.intp], spacing: Sequence[float]) -> float:
    """Maximum 2D long diameter, mm: the largest one within an axial slice, as RECIST measures it.

    Args:
        ends: indices (z, y, x) of `row_ends`.
        spacing: in mm, (z, y, x).
    """
    order = np.argsort(ends[:, 0], kind="stable")
    at = ends[order]
    starts = np.flatnonzero(np.diff(at[:, 0], prepend=at[0, 0] - 1))
    stops = np.append(starts[1:], len(at))
    # A slice is as wide as its widest shadow, but for what falls between the directions.
    places: NDArray[np.float64] = (at[:, 1:] * np.asarray(spacing[1:])) @ _DIRECTIONS
    shadows = np.maximum.reduceat(places, starts) - np.minimum.reduceat(places, starts)
    between = float(np.cos(np.pi / (2 * _DIRECTIONS.shape[1])))
    bound = shadows.max(axis=1) / between + float(np.linalg.norm(spacing[1:]))
    best = 0.0
    for k in np.argsort(-bound, kind="stable"):
        if bound[k] <= best:
            break
        best = max(best, longest(at[starts[k] : stops[k], 1:], spacing[1:]))
    return best


_TURNS = np.arange(16) * np.pi / 16
_DIRECTIONS = np.stack([np.cos(_TURNS), np.sin(_TURNS)])
