"""A volume on a coarse grid, for checks that look at the whole of it in little time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

GRID_MM = 5.0
"""Spacing of the coarse grid: lungs are tens of these wide, and a volume has below a million."""


def thinned(
    array: NDArray[Any], spacing: Sequence[float], grid_mm: float = GRID_MM
) -> tuple[NDArray[Any], tuple[float, float, float]]:
    """Every n-th voxel along each axis, about `grid_mm` apart; a view, no mean.

    Args:
        array: (z, y, x).
        spacing: in mm, (z, y, x).
        grid_mm: spacing that is wanted; axes that are coarser stay.

    Returns:
        The view, and its spacing in mm, (z, y, x).
    """
    steps = [max(1, round(grid_mm / step)) for step in spacing]
    view = array[tuple(slice(step // 2, None, step) for step in steps)]
    z, y, x = (step * float(s) for step, s in zip(steps, spacing, strict=True))
    return (view if view.size else array), ((z, y, x) if view.size else tuple(spacing))  # type: ignore[return-value]
