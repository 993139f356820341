"""Resample a scan to the target spacing, then crop or pad it about the body to the network size.

Every step is per axis of the source array, so slices stay slices and the result maps back to the
source by one affine. Resampling uses the linear (triangle) kernel. Where an axis shrinks, the
kernel is stretched by the same factor: its full width at half maximum then is one target voxel, so
that slices of 1 mm are averaged to 5 mm as a thicker collimation would, and nothing aliases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from covidlit.errors import ConfigError
from covidlit.preprocess.body import find_crop_centre
from covidlit.process import over_limit
from covidlit.scans.scan import AIR_HU, Scan


@dataclass(frozen=True)
class Geometry:
    """Spacing and size of every prepared volume.

    Args:
        spacing: target voxel spacing in mm, (z, y, x).
        size: voxels of the prepared volume, (z, y, x). The default covers 320 x 384 x 384 mm, a
            whole adult lung.

    Raises:
        ConfigError: not three positive numbers, or an absurd value.
    """

    spacing: tuple[float, float, float] = (5.0, 1.5, 1.5)
    size: tuple[int, int, int] = (64, 256, 256)

    def __post_init__(self) -> None:
        spacing, size = tuple(self.spacing), tuple(self.size)
        if len(spacing) != 3 or not all(0.1 <= float(s) <= 100 for s in spacing):
            raise ConfigError(
                f"spacing must be three numbers of mm (z, y, x) from 0.1 to 100, got {spacing}.",
                where="geometry.spacing",
                fix="use for example [5.0, 1.5, 1.5].",
            )
        if len(size) != 3 or not all(int(s) == s and 1 <= s <= 4096 for s in size):
            raise ConfigError(
                f"size must be three whole numbers of voxels (z, y, x), got {size}.",
                where="geometry.size",
                fix="use for example [64, 256, 256].",
            )
        if problem := over_limit(4.0 * math.prod(int(s) for s in size), f"a volume of {size}"):
            raise ConfigError(f"{problem}.", where="geometry.size", fix="use fewer voxels.")
        # Plain tuples, so that YAML lists and tuples give equal objects and equal cache keys.
        object.__setattr__(self, "spacing", tuple(float(s) for s in spacing))
        object.__setattr__(self, "size", tuple(int(s) for s in size))

    def arguments(self) -> dict[str, list[float] | list[int]]:
        """The arguments as JSON types, for the cache key and the sidecar."""
        return {"spacing": list(self.spacing), "size": list(self.size)}


@dataclass(frozen=True)
class Crop:
    """Where the prepared volume was cut out of the resampled scan.

    Args:
        start: index of its first voxel in the resampled scan, (z, y, x); negative where padded.
        resampled_shape: shape of the whole resampled scan, (z, y, x).
        centred_on: what the centre was taken from: "body", or "image" where no body was found.
    """

    start: tuple[int, int, int]
    resampled_shape: tuple[int, int, int]
    centred_on: str


@dataclass(frozen=True)
class Prepared:
    """A volume of the network's size.

    Args:
        array: int16 HU, axes (z, y, x); AIR_HU outside the source.
        affine: (4, 4), index (z, y, x, 1) to LPS millimetres (x, y, z, 1), as in Scan.
        crop: where it was cut out.
    """

    array: NDArray[np.int16]
    affine: NDArray[np.float64]
    crop: Crop


def prepare_scan(scan: Scan, geometry: Geometry) -> Prepared:
    """Resample, then crop or pad about the body.

    Works slice by slice: beside the scan and the result it holds a few float32 slices of the source
    matrix and a thinned copy (about 4 mm) for finding the body: for 300 x 512 x 512 under 25 MB.

    Args:
        scan: the source, canonical.
        geometry: target spacing and size.
    """
    shape, ratios, offsets = _resampled_grid(scan, geometry)
    centre, centred_on = find_crop_centre(
        scan.hu, scan.spacing, geometry.size[0] * geometry.spacing[0]
    )
    start = tuple(
        _start(shape[k], geometry.size[k], (centre[k] - offsets[k]) / ratios[k]) for k in range(3)
    )
    positions = [
        offsets[k] + ratios[k] * (start[k] + np.arange(geometry.size[k])) for k in range(3)
    ]
    array = resample(scan.hu, positions, ratios)
    affine = scan.affine.copy()
    first = np.array([p[0] for p in positions])
    affine[:3, 3] += scan.affine[:3, :3] @ first
    affine[:3, :3] *= np.asarray(ratios)
    return Prepared(array, affine, Crop((start[0], start[1], start[2]), shape, centred_on))


def resample(
    array: NDArray[np.int16],
    positions: Sequence[NDArray[np.floating]],
    ratios: Sequence[float],
) -> NDArray[np.int16]:
    """Sample a volume on a grid along its own axes, anti-aliased where the grid is coarser.

    Args:
        array: int16 HU (z, y, x).
        positions: for each axis the evenly spaced sample positions in index units of `array`.
        ratios: for each axis the step of `positions`; above 1 the kernel is stretched by it.

    Returns:
        int16 array of the lengths of `positions`; AIR_HU where a sample's centre is outside.
    """
    weights = [_weights(n, p, r) for n, p, r in zip(array.shape, positions, ratios, strict=True)]
    inside = [(p >= -0.5) & (p <= n - 0.5) for n, p in zip(array.shape, positions, strict=True)]
    out = np.full([len(p) for p in positions], AIR_HU, dtype=np.int16)
    rows, columns = (np.flatnonzero(inside[k]) for k in (1, 2))
    if not len(rows) or not len(columns):
        return out
    # Only the source rows and columns that the crop touches are read.
    y0, y1 = _touched(weights[1][rows])
    x0, x1 = _touched(weights[2][columns])
    w_rows, w_columns = weights[1][rows][:, y0:y1], weights[2][columns][:, x0:x1]
    block = np.ix_(rows, columns)
    for k in np.flatnonzero(inside[0]):
        lo, hi = weights[0].indptr[k : k + 2]
        mean = np.zeros((y1 - y0, x1 - x0), dtype=np.float32)
        for z, w in zip(weights[0].indices[lo:hi], weights[0].data[lo:hi], strict=True):
            mean += array[z, y0:y1, x0:x1] * w
        plane = (w_columns @ (w_rows @ mean).T).T
        out[k][block] = np.clip(np.rint(plane), -32768, 32767).astype(np.int16)
    return out


def _resampled_grid(
    scan: Scan, geometry: Geometry
) -> tuple[tuple[int, int, int], list[float], list[float]]:
    """Shape of the resampled scan, step and first position of its grid in source index units.

    Both grids cover the same extent and share its centre, so equal spacing leaves voxels alone.
    """
    ratios = [t / s for t, s in zip(geometry.spacing, scan.spacing, strict=True)]
    shape = tuple(max(1, round(n / r)) for n, r in zip(scan.hu.shape, ratios, strict=True))
    offsets = [
        (n - 1) / 2 - r * (m - 1) / 2 for n, m, r in zip(scan.hu.shape, shape, ratios, strict=True)
    ]
    return (shape[0], shape[1], shape[2]), ratios, offsets


def _start(n: int, size: int, centre: float) -> int:
    """First index of a window of `size` about `centre`, kept inside 0..n where it fits."""
    if n <= size:
        return -((size - n) // 2)
    return int(np.clip(round(centre - (size - 1) / 2), 0, n - size))


def _weights(n: int, positions: NDArray[np.floating], ratio: float) -> scipy.sparse.csr_matrix:
    """Sparse (len(positions), n) matrix of triangle-kernel weights; each row sums to 1."""
    width = max(ratio, 1.0)
    reach = int(np.ceil(width))
    near = np.floor(positions).astype(int)[:, None] + np.arange(-reach, reach + 2)
    weight = np.clip(1 - np.abs(near - positions[:, None]) / width, 0, None)
    weight[(near < 0) | (near >= n)] = 0
    total = weight.sum(axis=1, keepdims=True)
    weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    row, column = np.nonzero(weight)
    matrix = scipy.sparse.csr_matrix(
        (weight[row, column].astype(np.float32), (row, near[row, column])),
        shape=(len(positions), n),
    )
    matrix.sort_indices()
    return matrix


def _touched(weights: scipy.sparse.csr_matrix) -> tuple[int, int]:
    return int(weights.indices.min()), int(weights.indices.max()) + 1
