"""Whether masks and labels lie where their scan does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_MM = 0.05


def largest_offset(
    one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]
) -> float:
    """How far apart two affines put the corners of a volume, at most, in mm.

    At the corners, since a hundredth of a millimetre a pixel is five over a slice.

    Args:
        one, other: (4, 4), index (z, y, x) to mm in LPS.
        shape: of the volume, (z, y, x).
    """
    corners = np.array([[z, y, x, 1] for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
    corners[:, :3] *= np.array(shape) - 1
    return float(np.linalg.norm(((one - other) @ corners.T)[:3], axis=0).max())


def is_same_grid(
    one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]
) -> bool:
    """Whether two affines agree to a tenth of the smallest voxel's side, or to 0.05 mm.

    Args:
        one, other: (4, 4), index (z, y, x) to mm in LPS.
        shape: of the volume, (z, y, x).
    """
    side = float(np.linalg.norm(other[:3, :3], axis=0).min())
    return largest_offset(one, other, shape) <= max(_LEAST_MM, 0.1 * side)
