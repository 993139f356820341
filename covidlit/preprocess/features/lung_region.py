"""The region that the baselines measure: the lungs, as thresholds alone find them."""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.preprocess.body import BODY_HU

CLOSING_MM = 12.0
"""Vessels and lesions up to about twice this width inside the lungs belong to the region."""

_CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], dtype=bool)


def body_region(hu: NDArray[np.int16]) -> NDArray[np.bool_]:
    """The body: the largest 26-connected component above -500 HU, filled in each slice.

    Args:
        hu: int16 HU (z, y, x).

    Returns:
        bool (z, y, x); nothing where no voxel is above -500 HU.
    """
    tissue = hu > BODY_HU
    if not tissue.any():
        return tissue
    largest = cc3d.largest_k(tissue, k=1, connectivity=26) > 0
    return np.stack([scipy.ndimage.binary_fill_holes(plane) for plane in largest])


def lung_region(hu: NDArray[np.int16], spacing_mm: Sequence[float]) -> NDArray[np.bool_]:
    """The air inside the body and what it nearly encloses: lungs with vessels and small lesions.

    This is no segmentation of the lungs. Air in the airways and the bowel is in it, and a large
    consolidation that touches the chest wall is not.

    Args:
        hu: int16 HU (z, y, x).
        spacing_mm: voxel spacing in mm, (z, y, x).

    Returns:
        bool (z, y, x).
    """
    body = body_region(hu)
    air = body & (hu <= BODY_HU)
    steps = max(1, round(CLOSING_MM / float(np.mean(spacing_mm[1:]))))
    closed = scipy.ndimage.binary_closing(air, _CROSS, iterations=steps)
    return (closed & body) | air
