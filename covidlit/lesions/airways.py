"""Windpipe and main bronchi: grown from the windpipe, stopped before they leak into the lung."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray

AIR_BELOW_HU = (-900, -920, -940, -960, -980)
"""Thresholds, tried from the loosest; the first one at which the airways stay small is taken."""

MOST_ML = 110.0
"""Windpipe and main bronchi hold 30 to 70 mL; more is lung that was leaked into (our limit)."""

SECTION_MM2 = (50.0, 900.0)
"""Sections that a windpipe may have."""

_OFF_MIDDLE_MM = 35.0


def find_airways(
    hu: NDArray[np.integer],
    body: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    middle: float,
) -> NDArray[np.bool_]:
    """The air of windpipe and main bronchi.

    The windpipe is bare air in a section of its size near the middle of the body, in several
    slices below each other, of which the first lies in the upper half of the volume: gas in the
    bowel has such sections too. What is connected to it is airway, at
    the loosest threshold at which that is no more than `MOST_ML`.

    Args:
        hu: (z, y, x), canonical.
        body: the body with what it encloses.
        spacing: in mm, (z, y, x); about 1 to 3 in the plane.
        middle: column of the middle of the body.

    Returns:
        All False where no windpipe was found.
    """
    voxel_ml = float(np.prod(spacing)) / 1000
    nothing = np.zeros(hu.shape, bool)
    seed = _windpipe(hu, body, spacing, middle)
    if not seed.any():
        return nothing
    for limit in AIR_BELOW_HU:
        air = body & (hu < limit)
        labels = cc3d.connected_components(air, connectivity=6)
        own = np.unique(labels[seed & air])
        own = own[own > 0]
        if not len(own):
            continue
        found = np.isin(labels, own)
        if found.sum() * voxel_ml <= MOST_ML:
            return found
    return seed


def _windpipe(
    hu: NDArray[np.integer],
    body: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    middle: float,
) -> NDArray[np.bool_]:
    """The sections of bare air near the middle that follow each other longest, from above."""
    air = body & (hu < AIR_BELOW_HU[0])
    pixel = spacing[1] * spacing[2]
    chain, best = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    length, longest = 0, 0
    previous: NDArray[np.bool_] | None = None
    for z in range(hu.shape[0] - 1, -1, -1):
        if previous is None and z < hu.shape[0] // 2:
            break
        section = _likely_section(air[z], pixel, spacing, middle, previous)
        if section is None:
            chain, length, previous = np.zeros(hu.shape, bool), 0, None
            continue
        chain[z], length, previous = section, length + 1, section
        if length > longest:
            longest, best = length, chain.copy()
    least = max(3, round(15.0 / spacing[0]))
    return best if longest >= least else np.zeros(hu.shape, bool)


def _likely_section(
    air: NDArray[np.bool_],
    pixel: float,
    spacing: tuple[float, float, float],
    middle: float,
    previous: NDArray[np.bool_] | None,
) -> NDArray[np.bool_] | None:
    labels, count = cc3d.connected_components(air, connectivity=4, return_N=True)
    if not count:
        return None
    stats = cc3d.statistics(labels, no_slice_conversion=True)
    areas = stats["voxel_counts"][1:] * pixel
    off = np.abs(stats["centroids"][1:, 1] - middle) * spacing[2]
    boxes = stats["bounding_boxes"][1:].astype(int)
    wide = (boxes[:, 1] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 2] + 1) * pixel
    fit = (areas > SECTION_MM2[0]) & (areas < SECTION_MM2[1]) & (off < _OFF_MIDDLE_MM)
    fit &= areas > 0.5 * wide  # round, not a crescent of lung
    if previous is not None:
        over = np.bincount(labels[previous].ravel(), minlength=count + 1)[1:]
        fit &= over > 0
    if not fit.any():
        return None
    choice = np.flatnonzero(fit)[np.argmin(off[fit])] + 1
    found: NDArray[np.bool_] = labels == choice
    return found
