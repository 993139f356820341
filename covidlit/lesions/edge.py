"""Edge clarity: how steeply the density falls across a lesion's border into the lung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.lesions.border import BAND_MM, Surroundings
from covidlit.lesions.volume import Box

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
    outer = lung & (around.signed >= -reach)
    outer &= ~around.mask
    if not outer.any():
        return None
    inner = np.zeros_like(outer)
    inner[around.middle] = _facing(outer, around.middle, spacing)
    inner &= around.mask
    inner &= around.signed <= reach
    if not inner.any():
        return None
    values = np.concatenate([hu[inner], hu[outer]]).astype(np.float64)
    within = _perpendicular(around.signed, inner, spacing)
    beyond = _perpendicular(around.signed, outer, spacing)
    distance = np.concatenate([within, -beyond])
    close = np.abs(distance) <= BAND_MM
    distance, values = distance[close], values[close]
    if not (distance > 0).any() or not (distance < 0).any():
        return None
    distance -= distance.mean()
    spread = float(distance @ distance)
    return Edge(abs(float(distance @ values) / spread), len(values))


def _facing(
    outer: NDArray[np.bool_], middle: Box, spacing: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Which voxels of the box `middle` have one of `outer` within the band, as a box around them.

    The maximum over a window along each axis in turn; a window of 2n from two of n.
    """
    out = outer
    for axis, step in enumerate(spacing):
        by = int(np.ceil(BAND_MM / step))
        part = middle[axis]
        whole = [slice(None)] * 3
        whole[axis] = slice(part.start - by, part.stop + by)
        out = out[tuple(whole)]
        width = 1
        while width < 2 * by + 1:
            more = min(width, 2 * by + 1 - width)
            ahead, behind = [slice(None)] * 3, [slice(None)] * 3
            ahead[axis], behind[axis] = slice(more, None), slice(None, -more)
            out = out[tuple(ahead)] | out[tuple(behind)]
            width += more
    return out


def _perpendicular(
    signed: NDArray[np.float32], chosen: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Distance of the chosen voxels to the border between the voxels, (n,), mm."""
    flat, plane = signed.ravel(), signed.shape[1] * signed.shape[2]
    at = np.flatnonzero(chosen)
    above = np.where(at + plane < flat.size, at + plane, at)
    below = np.where(at >= plane, at - plane, at)
    apart = (above - below) * (spacing[0] / plane)
    rise = (flat[above] - flat[below]) / apart
    share = np.clip(np.abs(rise), 0, 1)
    pixel = (spacing[1] + spacing[2]) / 2
    step = share * spacing[0] + np.sqrt(1 - share**2) * pixel
    return np.maximum(np.abs(flat[at]) - OFFSET * step, 0.0)
