"""Volume from the areas of sections, which thick slices show better than counted voxels."""

from __future__ import annotations

import fill_voids
import numpy as np
from numpy.typing import NDArray

_FLAT = 2.0
"""Steps from the last section to where the parabola ends, from which on a body is taken to end flat
(areas there say nothing of its end); up to `_POINTED` it is taken to end as they say."""

_POINTED = 1.25


def volume_by_sections(mask: NDArray[np.bool_]) -> float:
    """Volume of a lesion from the areas of its sections (`section_volume`), in voxels.

    Holes are measured as bodies of their own: where they begin the areas have a kink, which no
    parabola follows.

    Args:
        mask: (z, y, x), the smallest box around the lesion.
    """
    whole = fill_voids.fill(mask)
    volume = section_volume(np.count_nonzero(whole, axis=(1, 2)), 1.0)
    holes = np.count_nonzero(whole & ~mask, axis=(1, 2))
    there = np.flatnonzero(holes)
    if len(there):
        volume -= section_volume(holes[there[0] : there[-1] + 1], 1.0)
    return volume


def section_volume(areas: NDArray[np.floating] | NDArray[np.integer], step: float) -> float:
    """Volume from the areas of parallel sections, exact for ellipsoids that three sections cut.

    Between two sections the mean of the parabolas through them and the next one on either side;
    beyond the last section the parabola through the last three up to where it is 0, at most a step
    away; half a step where it does not end there, as at a flat end. With fewer than three sections:
    areas times step.

    Args:
        areas: of the sections from the first to the last that is not empty, in mm2.
        step: between them, mm.
    """
    n = len(areas)
    if n < 3:
        return float(areas.sum() * step)
    area = np.asarray(areas, np.float64)
    bend = area[:-2] - 2 * area[1:-1] + area[2:]  # at the inner sections
    inner = np.concatenate([bend[:1], (bend[:-1] + bend[1:]) / 2, bend[-1:]])
    between = float(((area[:-1] + area[1:]) / 2 - inner / 12).sum()) * step
    return between + (_cap(area[:3]) + _cap(area[::-1][:3])) * step


def _cap(area: NDArray[np.float64]) -> float:
    """Beyond the first of three sections, in steps: the parabola through them to its zero."""
    curve = area[0] - 2 * area[1] + area[2]
    rise = (-3 * area[0] + 4 * area[1] - area[2]) / 2  # at the first section, inwards
    roots = np.roots([curve / 2, -rise, area[0]])
    zero = min((float(r.real) for r in roots if abs(r.imag) < 1e-9 and r.real > 0), default=_FLAT)
    end = min(1.0, zero)
    pointed = float(area[0] * end - rise * end**2 / 2 + curve * end**3 / 6)
    share = float(np.clip((_FLAT - zero) / (_FLAT - _POINTED), 0, 1))
    return share * pointed + (1 - share) * float(area[0]) / 2
