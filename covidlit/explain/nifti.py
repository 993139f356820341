"""Heat as NIfTI in the source series' geometry: a byte per voxel and a factor in the header."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from covidlit.scans.packed_nifti import packed_nifti

LEVELS = 255


def packed_heat(
    planes: Iterable[NDArray[np.float32]],
    shape: tuple[int, int, int],
    largest: float,
    affine: NDArray[np.float64],
) -> bytes:
    """Heat as the content of a `.nii.gz` file.

    Values are kept in 255 steps of the scan's own maximum, with the factor that makes them absolute
    again (`scl_slope`), which NIfTI readers apply by themselves: an error of at most 0.2% of the
    maximum.

    Args:
        planes: the z planes of the heat, float32 (y, x), not negative.
        shape: of the whole, (z, y, x).
        largest: heat of it.
        affine: (4, 4), its index to LPS mm, such as `Scan.affine`.
    """
    step = np.float32(largest / LEVELS or 1.0)
    steps = (np.rint(plane / step).astype(np.uint8) for plane in planes)
    return packed_nifti(steps, shape, np.uint8, affine, float(step))
