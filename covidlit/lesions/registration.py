"""Rigid alignment of two scans of a patient on the surface of the lungs."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from covidlit.errors import CovidlitError
from covidlit.lesions.distance import distance_within
from covidlit.scans.thinned import thinned

GRID_MM = 3.0
MOST_DEGREES = 30.0
_POINTS = 3000
_SCALE_MM = 4.0  # beyond it a point counts less: the diaphragm moves with the breath
_REACH_MM = 60.0


def align_lungs(
    fixed: NDArray[Any],
    fixed_affine: NDArray[np.float64],
    moving: NDArray[Any],
    moving_affine: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The rigid motion that lays the lungs of one scan on those of another.

    Points at the surface of the moving lungs are brought to where the signed distance to the fixed
    ones is what it is to their own, by least squares with a soft loss, from where the centres lie
    on each other. What a scan cuts off is no surface.

    Args:
        fixed: (z, y, x), nonzero in the lungs.
        fixed_affine: its index to LPS mm.
        moving: the same of the other scan.
        moving_affine: its index to LPS mm.

    Returns:
        (4, 4): LPS mm of the moving scan to LPS mm of the fixed one.

    Raises:
        CovidlitError: a scan has no lung.
    """
    distance, to_index = _distance_map(fixed, fixed_affine)
    points, depth = _surface(moving, moving_affine)
    centre = points.mean(axis=0)
    start = _surface(fixed, fixed_affine)[0].mean(axis=0) - centre

    def residuals(motion: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = Rotation.from_rotvec(motion[3:] / _LEVER_MM).apply(points - centre)
        at = turned + centre + start + motion[:3]
        index = at @ to_index[:3, :3].T + to_index[:3, 3]
        found: NDArray[np.float64] = scipy.ndimage.map_coordinates(
            distance, index.T, order=1, mode="nearest"
        )
        return found.astype(np.float64) - depth

    bound = np.array([_REACH_MM] * 3 + [np.radians(MOST_DEGREES) * _LEVER_MM] * 3)
    best = least_squares(
        residuals, np.zeros(6), bounds=(-bound, bound), loss="soft_l1", f_scale=_SCALE_MM,
        diff_step=1e-3, x_scale=5.0, max_nfev=60,
    ).x  # fmt: skip
    out = np.eye(4)
    out[:3, :3] = Rotation.from_rotvec(best[3:] / _LEVER_MM).as_matrix()
    out[:3, 3] = centre + start + best[:3] - out[:3, :3] @ centre
    return out


_LEVER_MM = 100.0
"""Turns are counted as what they move at this distance, so that all six are lengths."""


def _coarse(
    lung: NDArray[Any], affine: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], tuple[float, float, float], NDArray[np.float64], list[int]]:
    """Every n-th voxel, with room around it; its spacing, its affine, and the room in voxels.

    A lung that the scan cuts off goes on into the room: the cut is no surface.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    small, steps = thinned(lung, spacing, GRID_MM)
    inside = small != 0
    if not inside.any():
        raise CovidlitError(
            "there is no lung to align the scans on.", fix="give labels with the lung (class 1)."
        )
    factor = np.array([round(s / float(o)) for s, o in zip(steps, spacing, strict=True)])
    room = [int(_REACH_MM / 2 / step) for step in steps]
    out = affine.copy()
    out[:3, :3] = affine[:3, :3] * factor
    first = np.where(factor > 1, factor // 2, 0) - np.array(room) * factor
    out[:3, 3] = affine[:3, 3] + affine[:3, :3] @ first
    return np.pad(inside, [(r, r) for r in room], mode="edge"), steps, out, room


def _distance_map(
    lung: NDArray[Any], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    inside, steps, placed, room = _coarse(lung, affine)
    signed = distance_within(~inside, steps) - distance_within(inside, steps)
    for axis, width in enumerate(room):
        for outside in (slice(0, width), slice(inside.shape[axis] - width, None)):
            beyond = (*[slice(None)] * axis, outside)
            if inside[beyond].any():  # the lung goes on, nobody knows how far
                signed[beyond] = 0
    to_index: NDArray[np.float64] = np.linalg.inv(placed).astype(np.float64)
    return np.clip(signed, -_REACH_MM, _REACH_MM).astype(np.float32), to_index


def _surface(
    lung: NDArray[Any], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points on the border of the lungs in LPS mm, (n, 3), evenly thinned; not where cut off.

    And their signed distance to it, (n,): voxels at the border lie a little inside.
    """
    inside, steps, placed, room = _coarse(lung, affine)
    border = inside & ~scipy.ndimage.binary_erosion(inside, border_value=1)
    own = tuple(slice(r, length - r) for r, length in zip(room, border.shape, strict=True))
    at = np.argwhere(border[own]) + room
    at = at[:: max(1, len(at) // _POINTS)]
    depth = -distance_within(inside, steps)[tuple(at.T)].astype(np.float64)
    return at @ placed[:3, :3].T + placed[:3, 3], depth
