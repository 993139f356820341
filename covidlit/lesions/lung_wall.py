"""Where the chest wall runs behind pneumonia or fluid: the outer border of a lung, made smooth."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

DENT_DEGREES = 60.0
"""Dents of the outer border that are narrower than this, seen from the mediastinum, are filled."""

DENT_MM = 50.0
"""And so are those that are lower than this."""

SHELL_MM = 4.5
"""So thick is the wall that closes off what opens through the border, while holes are sought."""

_RAYS = 180


def fill_dents(
    lung: NDArray[np.bool_],
    steps: tuple[float, float, float],
    seam: NDArray[np.float32],
    side: int,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """One lung with the dents of its outer border filled, and the shell along that border.

    In each slice, rays run from a point on the seam between the lungs to the chest wall. The radius
    at which a ray leaves the lung for good is a picture over height and angle, and a grey closing
    of this picture fills what is narrower than the limits.

    Args:
        lung: one lung, (z, y, x).
        steps: spacing in mm, (z, y, x).
        seam: (z, y), see `seam_between_lungs`.
        side: 1 right, 2 left.

    Returns:
        The lung, and what lies up to `SHELL_MM` inside its smoothed border: lung or not, it closes
        off what a focus opens to the wall. Both (z, y, x).
    """
    shell = np.zeros_like(lung)
    slices = np.flatnonzero(lung.any(axis=(1, 2)))
    if not len(slices):
        return lung, shell
    part = lung[slices[0] : slices[-1] + 1]
    depth, rows, columns = part.shape
    heights = part.sum(axis=2).astype(np.float64)
    counts = np.maximum(heights.sum(axis=1), 1)
    centre_y = (heights @ np.arange(rows)) / counts
    centre_y = scipy.ndimage.gaussian_filter1d(centre_y, 20.0 / steps[0], mode="nearest")
    borders = seam[slices[0] : slices[-1] + 1]
    centre_x = np.median(borders, axis=1)
    centre_x = scipy.ndimage.gaussian_filter1d(centre_x, 20.0 / steps[0], mode="nearest")

    y, x = np.arange(rows)[None, :, None], np.arange(columns)[None, None, :]
    dy = (y - centre_y[:, None, None]) * steps[1]
    dx = (x - centre_x[:, None, None]) * steps[2] * (-1 if side == 1 else 1)
    radius = np.hypot(dy, dx).astype(np.float32)
    angle = np.degrees(np.arctan2(dy, dx))  # 0 to the side, -90 to the front, 90 to the back
    ray = np.clip(((angle + 180) / 360 * _RAYS).astype(np.intp), 0, _RAYS - 1)
    at = np.arange(depth)[:, None, None] * _RAYS + ray
    outer = np.zeros(depth * _RAYS, np.float32)
    np.maximum.at(outer, at[part], radius[part])
    outer = outer.reshape(depth, _RAYS)
    size = (max(3, round(DENT_MM / steps[0])), max(3, round(DENT_DEGREES / 360 * _RAYS)))
    # Above and below the lung there is none: its tips are no dents.
    padded = np.pad(outer, ((size[0], size[0]), (0, 0)))
    wide = scipy.ndimage.grey_dilation(padded, size=size, mode=("constant", "nearest"))
    closed = scipy.ndimage.grey_erosion(wide, size=size, mode=("constant", "nearest"))
    closed = np.maximum(closed[size[0] : -size[0]], outer)
    reach = closed.ravel()[at]
    start = np.where(outer > 0, outer, np.inf).ravel()[at]
    out, span = lung.copy(), slice(slices[0], slices[-1] + 1)
    within = radius <= reach
    out[span] |= (radius >= start) & within
    shell[span] = (radius >= reach - SHELL_MM) & within & (reach > 0)
    return out, shell
