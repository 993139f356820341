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

BONE_ABOVE_HU = 180
RIB_PITCH_MM = 45.0
"""Within such a height every ray meets a rib."""

PLEURA_MM = 3.0
"""So far inside the inner side of the ribs the pleural space ends (our estimate)."""

LEAST_GAP_MM = 6.0
"""Where lung and ribs are less apart than this, they lie against each other."""

FLUID_ABOVE_HU = -50

_RAYS = 180


def fill_dents(
    lung: NDArray[np.bool_],
    hu: NDArray[np.integer],
    steps: tuple[float, float, float],
    seam: NDArray[np.float32],
    side: int,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """One lung with the dents of its outer border filled, and the shell along that border.

    In each slice, rays run from a point on the seam between the lungs to the chest wall. The radius
    at which a ray leaves the lung for good is a picture over height and angle, and a grey closing
    of this picture fills what is narrower than the limits. Of wider layers, those are filled that
    lie behind: what is dense between the back of the lung and the ribs, as of a patient who lies.

    Args:
        lung: one lung, (z, y, x), with room for the chest wall around it.
        hu: Hounsfield units, (z, y, x).
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
    out[span] |= _layer_behind(part, hu[span], steps)
    shell[span] = (radius >= reach - SHELL_MM) & within & (reach > 0)
    return out, shell


def _layer_behind(
    lung: NDArray[np.bool_], hu: NDArray[np.integer], steps: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """What is dense between the back of a lung and the ribs: fluid and consolidation, lying.

    Args:
        lung: one lung from its lowest to its highest slice, (z, y, x).
        hu: of the same voxels.
        steps: in mm.
    """
    depth, rows, _columns = lung.shape
    row = np.arange(rows)[None, :, None]
    back = np.where(lung.any(axis=1), rows - 1 - lung[:, ::-1].argmax(axis=1), rows)[:, None]
    bone = (hu > BONE_ABOVE_HU) & (row > back)
    rib = np.where(bone.any(axis=1), bone.argmax(axis=1), rows)
    window = max(1, round(RIB_PITCH_MM / steps[0]))
    rib = scipy.ndimage.minimum_filter1d(rib, window, axis=0)[:, None]
    end = rib - max(1, round(PLEURA_MM / steps[1]))
    wide = (rib < rows) & ((end - back) * steps[1] >= LEAST_GAP_MM)
    middle = (lung.sum(axis=2) @ np.arange(rows)) / np.maximum(lung.sum(axis=(1, 2)), 1)
    wide &= back > middle[:, None, None]  # not behind the mediastinum
    wide[round(0.85 * depth) :] = False  # around the tip, muscle and vessels lie within the ribs
    dense = scipy.ndimage.uniform_filter(hu.astype(np.float32), (1, 3, 3)) > FLUID_ABOVE_HU
    layer = dense & wide & (row > back) & (row <= end)
    return scipy.ndimage.binary_opening(layer, np.ones((1, 3, 3)))
