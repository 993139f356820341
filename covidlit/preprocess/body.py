"""Find the patient in a CT volume, to know what to crop about."""

from __future__ import annotations

import cc3d
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

BODY_HU = -500
"""Above this is tissue, below it is air or aerated lung."""

GRID_MM = 4.0
"""The body is searched on a grid thinned to about this spacing."""


def find_crop_centre(
    hu: NDArray[np.int16], spacing: tuple[float, float, float], height_mm: float
) -> tuple[tuple[float, float, float], str]:
    """Where the network's field of view is centred, in source index units (z, y, x).

    In-plane it is the body's centre of mass, the body being the largest 26-connected component
    above -500 HU with the air inside each slice filled. Along z it is the middle of the window, as
    tall as the network's volume, that holds the most air inside the body, which is lung far more
    than bowel; of equally good windows the middle one.

    Args:
        hu: int16 (z, y, x).
        spacing: mm, (z, y, x).
        height_mm: of the window, along z.

    Returns:
        The centre, and "body", or "image" if there is nothing above -500 HU: then it is the middle
        of the image.
    """
    steps = [max(1, round(GRID_MM / s)) for s in spacing]
    tissue = hu[tuple(slice(step // 2, None, step) for step in steps)] > BODY_HU
    if not tissue.any():
        z, y, x = ((n - 1) / 2 for n in hu.shape)
        return (z, y, x), "image"
    tissue, body = _largest_body(tissue)
    centre = [float(c) for c in scipy.ndimage.center_of_mass(body)]
    air = (body & ~tissue).sum(axis=(1, 2))
    height = height_mm / (steps[0] * spacing[0])
    centre[0] = _fullest_window(air, min(len(air), max(1, round(height))))
    z, y, x = (c * step + step // 2 for c, step in zip(centre, steps, strict=True))
    return (z, y, x), "body"


def body_mask(hu: NDArray[np.int16]) -> NDArray[np.bool_]:
    """The body as `find_crop_centre` understands it, on the grid of `hu` itself.

    Args:
        hu: (z, y, x); meant for prepared volumes, whose voxels are coarse.

    Returns:
        True inside, the air in the lungs included; nowhere if there is nothing above -500 HU.
    """
    tissue = hu > BODY_HU
    return _largest_body(tissue)[1] if tissue.any() else tissue


def _largest_body(tissue: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The largest component, and the same with the air inside each slice filled."""
    tissue = cc3d.largest_k(tissue, k=1, connectivity=26) > 0
    return tissue, np.stack([scipy.ndimage.binary_fill_holes(plane) for plane in tissue])


def _fullest_window(counts: NDArray[np.integer], length: int) -> float:
    """Centre of the window of `length` entries with the largest sum."""
    sums = np.convolve(counts, np.ones(length, dtype=np.int64), mode="valid")
    best = np.flatnonzero(sums == sums.max())
    return float(best[len(best) // 2]) + (length - 1) / 2
