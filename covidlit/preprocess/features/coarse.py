"""Coarse intensities: where in the volume it is how dense, on a grid of few cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID = (6, 6, 6)
"""Cells of the grid, (z, y, x)."""

RANGE_HU = (-1000, 400)
"""Intensities are cut to this range first, or metal and bone would outweigh the lungs."""


def coarse_intensities(hu: NDArray[np.int16]) -> NDArray[np.float64]:
    """Mean HU of the cells of `GRID`, which divides the volume evenly.

    A voxel that two cells share counts in each by the part that lies there.

    Args:
        hu: int16 HU (z, y, x), of any size.

    Returns:
        `GRID` means, (z, y, x).
    """
    mean = np.clip(hu, *RANGE_HU).astype(np.float64)
    for axis, cells in enumerate(GRID):
        weights = _shares(hu.shape[axis], cells)
        mean = np.moveaxis(np.tensordot(weights, mean, axes=(1, axis)), 0, axis)
    return mean


def _shares(voxels: int, cells: int) -> NDArray[np.float64]:
    """(cells, voxels): how much of each cell is each voxel; rows sum to 1."""
    edges = np.linspace(0, voxels, cells + 1)
    start = np.arange(voxels)
    low = np.maximum(edges[:-1, None], start)
    high = np.minimum(edges[1:, None], start + 1)
    return np.clip(high - low, 0, None) / (voxels / cells)
