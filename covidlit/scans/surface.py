"""Distances between the outlines of two masks of a slice."""

from __future__ import annotations

from typing import NamedTuple

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion


class SurfaceDistance(NamedTuple):
    """Distances between two outlines, in the unit of the spacing.

    Args:
        mean: of every outline pixel of either mask to the other's outline (average symmetric
            surface distance).
        hd95: the larger of the two 95th percentiles (Hausdorff distance without its outliers).
    """

    mean: float
    hd95: float


def surface_distance(
    one: NDArray[np.bool_], other: NDArray[np.bool_], spacing: tuple[float, float] = (1.0, 1.0)
) -> SurfaceDistance | None:
    """Distances between the outlines of two masks (rows, columns); None where one is empty.

    Args:
        one, other: the masks.
        spacing: of rows and columns; 1: in pixels.
    """
    if not one.any() or not other.any():
        return None
    first, second = outline(one), outline(other)
    to_second = _distance_to(second, spacing)[first]
    to_first = _distance_to(first, spacing)[second]
    mean = (to_second.sum() + to_first.sum()) / (len(to_second) + len(to_first))
    return SurfaceDistance(
        float(mean), float(max(np.quantile(to_second, 0.95), np.quantile(to_first, 0.95)))
    )


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask that have a neighbour, across a side, outside it or the slice."""
    edge: NDArray[np.bool_] = mask & ~binary_erosion(mask)
    return edge


def _distance_to(pixels: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float32]:
    away = np.ascontiguousarray(~pixels)
    found: NDArray[np.float32] = edt.edt(away, anisotropy=spacing, black_border=False, parallel=1)
    return found
