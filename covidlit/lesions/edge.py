"""Edge clarity: how steeply the density falls across a lesion's border into the lung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.lesions.border import BAND_MM, Surroundings

OFFSET = 0.25
"""Voxels from the nearest centre to the border before it: half of one where the border is flat on
the grid, next to none where it is oblique. With a quarter, ramps on balls are right to 2% at slices
of 1 to 2.5 mm, to 10% at 5 mm."""


@dataclass(frozen=True)
class Edge:
    """The fall across one border.

    Args:
        clarity: HU per mm, 0 or more.
        n: voxels that it was fitted to, the weight of this border in a mean.
    """

    clarity: float
    n: int


def edge_clarity(
    around: Surroundings,
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    spacing: tuple[float, float, float],
) -> Edge | None:
    """Edge clarity of a lesion, in HU per mm.

    The slope of the line fitted to HU over the signed distance from the border, of the voxels
    within `BAND_MM` on both sides, as an absolute value. Only borders with lung count: not those
    with the chest wall or another lesion. A ramp of g HU/mm that is wider than the band gives g; a
    step of h HU gives about 3 h / (4 BAND_MM). IBSI has no such feature; the paper (Figure 8) says
    only that inflammation is blurred.

    Distances between centres of voxels are shortened by `OFFSET` voxels in the direction of the
    nearest border (its share of z from the differences between slices), since the border runs
    between the voxels.

    Args:
        around: the lesion.
        hu: of its surroundings, (z, y, x).
        lung: which of them are lung without any lesion.
        spacing: in mm, (z, y, x).

    Returns:
        None where no lung, or too little for a slope, lies at the border.
    """
    reach = BAND_MM + spacing[0] / 2
    outer = lung & ~around.mask & (around.distance <= reach)
    if not outer.any():
        return None
    facing = outer.view(np.uint8)  # what lies within the band of it, in a box
    for axis, step in enumerate(spacing):
        width = 2 * int(np.ceil(BAND_MM / step)) + 1
        facing = scipy.ndimage.maximum_filter1d(facing, width, axis=axis, mode="constant")
    inner = around.mask & (around.distance <= reach) & (facing > 0)
    if not inner.any():
        return None
    values = np.concatenate([hu[inner], hu[outer]]).astype(np.float64)
    signed = np.where(around.mask, around.distance, -around.distance)
    within = _perpendicular(signed, inner, spacing)
    beyond = _perpendicular(signed, outer, spacing)
    distance = np.concatenate([within, -beyond])
    close = np.abs(distance) <= BAND_MM
    distance, values = distance[close], values[close]
    if not (distance > 0).any() or not (distance < 0).any():
        return None
    distance -= distance.mean()
    spread = float(distance @ distance)
    return Edge(abs(float(distance @ values) / spread), len(values))


def _perpendicular(
    signed: NDArray[np.float32], chosen: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Distance of the chosen voxels to the border between the voxels, (n,), mm."""
    z, y, x = np.nonzero(chosen)
    last = len(signed) - 1
    above, below = np.minimum(z + 1, last), np.maximum(z - 1, 0)
    rise = (signed[above, y, x] - signed[below, y, x]) / (spacing[0] * (above - below))
    share = np.clip(np.abs(rise.astype(np.float64)), 0, 1)
    pixel = (spacing[1] + spacing[2]) / 2
    step = share * spacing[0] + np.sqrt(1 - share**2) * pixel
    return np.maximum(np.abs(signed[chosen]) - OFFSET * step, 0.0)
