"""Form: how round a lesion is, comparably between slice thicknesses."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from covidlit.lesions.border import Surroundings

GRID_MM = 1.0
"""Grid on which the surface is drawn, the same for every scanner."""

SMOOTH_MM = 1.0
"""Standard deviation of the Gaussian that takes the steps of the voxels away."""


def sphericity(around: Surroundings, spacing: tuple[float, float, float]) -> float | None:
    """Form of a lesion: its sphericity, (36 pi V^2)^(1/3) / A, 1 for a ball.

    IBSI: sphericity (2.1.5, QCFX). IBSI takes V and A from the mesh of the binary mask, whose steps
    give a ball 0.91 at voxels of 1 mm and 0.82 at 5 x 0.7 x 0.7 mm. Here they are those of a smooth
    surface: the signed distance to the border (inside minus outside), linear on a grid of
    `GRID_MM`, smoothed by `SMOOTH_MM`, marching cubes at 0.

    Args:
        around: the lesion.
        spacing: in mm, (z, y, x).

    Returns:
        None for what is too small to have a form: nothing is left of it by the smoothing.
    """
    signed = around.signed
    for axis, step in enumerate(spacing):
        signed = _resampled(signed, axis, step)
    signed = scipy.ndimage.gaussian_filter(signed, SMOOTH_MM / GRID_MM, truncate=3.0)
    if signed.max() <= 0:
        return None
    points, faces, _, _ = marching_cubes(signed, 0.0, spacing=(GRID_MM,) * 3)
    volume, area = mesh_volume_and_area(points, faces)
    return min(1.0, (36 * np.pi * volume**2) ** (1 / 3) / area)


def mesh_volume_and_area(
    points: NDArray[np.float32], faces: NDArray[np.int32]
) -> tuple[float, float]:
    """The volume within a closed mesh, by the divergence theorem, and the area of its triangles.

    IBSI: volume (2.1.1, RNU0) and surface area (2.1.3, C0JK).

    Args:
        points: (n, 3), mm.
        faces: (m, 3), three points each, all turning the same way.
    """
    at = points.T.astype(np.float64)
    corner = [column[faces[:, 0]] for column in at]
    one = [column[faces[:, 1]] - start for column, start in zip(at, corner, strict=True)]
    other = [column[faces[:, 2]] - start for column, start in zip(at, corner, strict=True)]
    normal = [one[k - 2] * other[k - 1] - one[k - 1] * other[k - 2] for k in range(3)]
    area = float(np.sqrt(sum(n * n for n in normal)).sum()) / 2
    volume = float(sum(start @ n for start, n in zip(corner, normal, strict=True))) / 6
    return abs(volume), area


def _resampled(values: NDArray[np.float32], axis: int, step: float) -> NDArray[np.float32]:
    """Linear on a grid of `GRID_MM` along one axis, from the first voxel's centre."""
    size = values.shape[axis]
    if size == 1 or abs(step - GRID_MM) < 1e-3:
        return values
    at = np.arange(int((size - 1) * step / GRID_MM) + 1) * (GRID_MM / step)
    low = np.minimum(at.astype(np.intp), size - 2)
    shape = [1, 1, 1]
    shape[axis] = len(at)
    part = (at - low).astype(np.float32).reshape(shape)
    first = values.take(low, axis)
    out: NDArray[np.float32] = values.take(low + 1, axis)
    out -= first
    out *= part
    out += first
    return out
