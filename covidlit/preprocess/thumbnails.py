"""Thumbnails of prepared volumes, by which copies of a scan are found that are not identical.

A thumbnail is centred on the air inside the body, not on the volume, so a scan that lost a slice or
was flipped gives the same cells, in another order at most. It is kept beside the volumes:
`thumbnails/<first two of key>/<key>.npy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.files import atomic_path, is_writable
from covidlit.preprocess.backends import run_in_parallel
from covidlit.preprocess.body import BODY_HU, GRID_MM, body_mask
from covidlit.preprocess.cache import VolumeCache
from covidlit.progress import progress_bar
from covidlit.scans.scan import AIR_HU

CELLS = 8
"""Cells along each axis."""

CELL_MM = 32.0
"""Distance of neighbouring cells; together they cover a chest."""

RANGE_HU = (-1000, 400)
"""Intensities are cut to this range first, or metal and bone would outweigh the lungs."""

_LEAST_COVERED = 0.75
"""A cell that the image covers less than this counts as partly air."""


def thumbnail(hu: NDArray[np.int16], spacing: tuple[float, float, float]) -> NDArray[np.int16]:
    """Mean HU in coarse cells about the middle of the lungs.

    Args:
        hu: a prepared volume, int16 HU (z, y, x).
        spacing: of its voxels in mm, (z, y, x).

    Returns:
        int16 HU of `CELLS` cells along each axis, (z, y, x).
    """
    low, high = RANGE_HU
    inside = (hu > AIR_HU).astype(np.float32)
    above_air = (np.clip(hu, low, high) - low) * inside
    for axis, centre in enumerate(_centre(hu, spacing)):
        weights = _weights(hu.shape[axis], spacing[axis], centre)
        inside, above_air = (
            np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
            for values in (inside, above_air)
        )
    mean = low + above_air / np.maximum(inside, _LEAST_COVERED)
    return np.rint(mean).astype(np.int16)


def keep_thumbnail(
    cache_dir: str | Path, key: str, hu: NDArray[np.int16], spacing: tuple[float, float, float]
) -> NDArray[np.int16]:
    """Make the thumbnail of the prepared volume of `key` and write it to the cache, atomically.

    In a cache on a read-only disk it is made each time.
    """
    made = thumbnail(hu, spacing)
    if not is_writable(cache_dir):
        return made
    with atomic_path(_path(cache_dir, key)) as temporary, temporary.open("wb") as file:
        np.save(file, made)
    return made


def cohort_thumbnails(
    cache_dir: str | Path, keys: Sequence[str], *, n_jobs: int = -1, backend: str = "loky"
) -> NDArray[np.int16]:
    """The thumbnails of prepared volumes; those that are not kept yet are made and kept.

    Args:
        cache_dir: the cache folder.
        keys: of the volumes.
        n_jobs: workers; -1: one per core.
        backend: joblib's: "loky" (processes), "threading", "dask" or "ray".

    Returns:
        (len(keys), CELLS, CELLS, CELLS) int16 HU.

    Raises:
        CacheError: a volume is missing or damaged.
        CovidlitError: the cache folder cannot be written.
    """
    found = np.empty((len(keys), CELLS, CELLS, CELLS), dtype=np.int16)
    tasks = []
    for row, key in enumerate(keys):
        known = _read(_path(cache_dir, key))
        if known is None:
            tasks.append(_Task(row, key, str(cache_dir)))
        else:
            found[row] = known
    with progress_bar("Comparing volumes", len(tasks), show=bool(tasks)) as bar:
        for row, made in run_in_parallel(_make, tasks, n_jobs=n_jobs, backend=backend):
            found[row] = made
            bar.advance()
    return found


class _Task(NamedTuple):
    row: int
    key: str
    cache_dir: str


def _make(task: _Task) -> tuple[int, NDArray[np.int16]]:
    array, sidecar = VolumeCache(task.cache_dir).open(task.key)
    spacing = sidecar.arguments.spacing
    return task.row, keep_thumbnail(task.cache_dir, task.key, np.asarray(array), spacing)


def _path(cache_dir: str | Path, key: str) -> Path:
    return Path(cache_dir) / "thumbnails" / key[:2] / f"{key}.npy"


def _read(path: Path) -> NDArray[np.int16] | None:
    """The kept thumbnail; None where there is none, or the file is damaged."""
    try:
        kept: NDArray[np.int16] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == (CELLS,) * 3 and kept.dtype == np.int16 else None


def _centre(hu: NDArray[np.int16], spacing: tuple[float, float, float]) -> list[float]:
    """The centre of mass of the air inside the body, else of the body, else the volume's middle."""
    steps = [max(1, round(GRID_MM / s)) for s in spacing]
    thinned = hu[tuple(slice(step // 2, None, step) for step in steps)]
    body = body_mask(thinned)
    air = body & (thinned < BODY_HU)
    for mask in (air, body):
        if mask.any():
            centre = scipy.ndimage.center_of_mass(mask)
            return [float(c) * step + step // 2 for c, step in zip(centre, steps, strict=True)]
    return [(n - 1) / 2 for n in hu.shape]


def _weights(voxels: int, spacing: float, centre: float) -> NDArray[np.float32]:
    """(CELLS, voxels): the share of each voxel in each cell, by a triangle of twice its size.

    The rows sum to about 1 where the cell lies within the image, to less at its borders.
    """
    places = (np.arange(voxels) - centre) * spacing / CELL_MM
    middles = np.arange(CELLS) - (CELLS - 1) / 2
    share = np.clip(1 - np.abs(places - middles[:, None]), 0, None) * spacing / CELL_MM
    return share.astype(np.float32)
