"""Which lung is which: a seam between the lungs, right and left of the patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.scans.thinned import thinned

SEAM_GRID_MM = 2.5
"""The seam is sought on every n-th voxel, about so far apart."""

RIGHT, LEFT = 1, 2
"""Values of a volume of lungs: of the patient."""

_REACH_MM = 70.0  # how far from the middle of the body the lungs may meet
_PULL = 0.4  # cost of 1 voxel at that distance, where crossing a voxel of lung costs 1
_BEND = 0.05  # cost of a step to the side from one row to the next


def seam_between_lungs(
    lung: NDArray[Any], spacing: Sequence[float], middle: float | None = None
) -> NDArray[np.float32]:
    """The column that parts the right from the left lung, in each row of each slice.

    The path from the front to the back of each slice that crosses the least lung, by dynamic
    programming over the rows; slices keep together by a smoothing of the costs along z. Lungs that
    touch each other in front of the heart or behind it are cut where they are thinnest.

    Args:
        lung: nonzero in both lungs, axes (z, y, x), x to the patient's left.
        spacing: in mm, (z, y, x).
        middle: column of the middle of the body; None for that of the volume.

    Returns:
        float32 (z, y): columns smaller than it are of the right side, the others of the left.
    """
    depth, rows, columns = lung.shape
    small, steps = thinned(lung, spacing, SEAM_GRID_MM)
    factor = [round(step / float(own)) for step, own in zip(steps, spacing, strict=True)]
    first = [n // 2 if n > 1 else 0 for n in factor]
    inside = (small != 0).astype(np.float32)
    centre = (columns - 1) / 2 if middle is None else middle
    at = np.arange(inside.shape[2]) * factor[2] + first[2]
    away = np.abs(at - centre) * float(spacing[2])
    cost = scipy.ndimage.gaussian_filter1d(inside, 8.0 / steps[0], axis=0) + inside
    cost += (_PULL * away / _REACH_MM).astype(np.float32)
    near = np.flatnonzero(away <= _REACH_MM)
    if len(near) < 3:
        near = np.arange(inside.shape[2])
    path = near[0] + _cheapest_paths(cost[:, :, near])
    column = path * factor[2] + first[2] + 0.5
    smooth = scipy.ndimage.median_filter(column.astype(np.float32), size=(3, 1), mode="nearest")
    z = np.clip((np.arange(depth) - first[0]) // factor[0], 0, smooth.shape[0] - 1)
    y = np.clip((np.arange(rows) - first[1]) // factor[1], 0, smooth.shape[1] - 1)
    out: NDArray[np.float32] = smooth[z][:, y]
    return out


def _cheapest_paths(cost: NDArray[np.float32]) -> NDArray[np.intp]:
    """Per slice the column of each row (z, y) on the cheapest way from the first to the last."""
    depth, rows, columns = cost.shape
    total = cost[:, 0].copy()
    came = np.zeros((depth, rows, columns), np.int8)
    far = np.full((depth, 1), np.inf, np.float32)
    for row in range(1, rows):
        ways = np.stack(
            [
                np.concatenate([far, total[:, :-1]], axis=1) + np.float32(_BEND),
                total,
                np.concatenate([total[:, 1:], far], axis=1) + np.float32(_BEND),
            ]
        )
        best = ways.argmin(axis=0)
        came[:, row] = best - 1
        total = np.take_along_axis(ways, best[None], axis=0)[0] + cost[:, row]
    path = np.empty((depth, rows), np.intp)
    path[:, -1] = total.argmin(axis=1)
    for row in range(rows - 1, 0, -1):
        step = np.take_along_axis(came[:, row], path[:, row, None], axis=1)[:, 0]
        path[:, row - 1] = path[:, row] + step
    return path


def label_sides(lung: NDArray[np.bool_], seam: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A volume of lungs: `RIGHT` and `LEFT` where `lung`, 0 elsewhere.

    Args:
        lung: (z, y, x).
        seam: (z, y), of `seam_between_lungs`.
    """
    columns = np.arange(lung.shape[2], dtype=np.float32)
    out = lung.astype(np.uint8)
    for labels, border in zip(out, seam, strict=True):
        labels[columns >= border[:, None]] *= LEFT
    return out
