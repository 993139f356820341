"""Scans that are alike beyond chance: copies with other intensities, fewer slices, or flipped."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

ALIKE_HU = 10.0
"""Thumbnails that differ by less, as root mean square, are taken for the same scan.

Above what noise, 1 HU more, a slice less or a flip change, far below what tells patients apart:
`tests/preprocess/test_thumbnails.py` measures both.
"""

_FLIPS = [axes for n in range(4) for axes in combinations((0, 1, 2), n)]
_COMPONENTS = 8
_CHUNK = 20_000


def alike(
    thumbnails: Mapping[str, NDArray[np.int16]], parts: Mapping[str, str]
) -> list[tuple[str, str, float]]:
    """The pairs of scans of different parts whose thumbnails are alike in one of the eight flips.

    Averaging over all flips brings thumbnails nearer to each other or leaves their distance, and so
    does leaving components out: pairs that are far apart there need no comparison. What remains
    grows with the number of scans and of copies, not with the number of all pairs.

    Args:
        thumbnails: of the scans, HU means (z, y, x), all of one shape with even sides.
        parts: scan_id -> part; scans without one are left out.

    Returns:
        (scan, other scan, difference in HU), the most alike first.
    """
    scans = [scan for scan in thumbnails if scan in parts]
    if len(scans) < 2:
        return []
    volumes = np.stack([thumbnails[scan] for scan in scans]).astype(np.float32)
    part = np.array([parts[scan] for scan in scans])
    pairs = cKDTree(_flip_invariant(volumes)).query_pairs(ALIKE_HU, output_type="ndarray")
    pairs = pairs[part[pairs[:, 0]] != part[pairs[:, 1]]]
    found = []
    for start in range(0, len(pairs), _CHUNK):
        one, other = pairs[start : start + _CHUNK].T
        distance = _distance(volumes[one], volumes[other])
        for k in np.flatnonzero(distance < ALIKE_HU):
            found.append((scans[one[k]], scans[other[k]], float(distance[k])))
    return sorted(found, key=lambda pair: (pair[2], pair[:2]))


def _distance(volumes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.floating]:
    """(n,) root mean square difference of volumes (n, z, y, x), the least over the flips."""
    every = [
        np.sqrt(np.mean((volumes - _flipped(others, axes)) ** 2, axis=(1, 2, 3))) for axes in _FLIPS
    ]
    least: NDArray[np.floating] = np.min(every, axis=0)
    return least


def _flip_invariant(volumes: NDArray[np.float32]) -> NDArray[np.floating]:
    """(n, few) coordinates, no farther apart than the volumes (n, z, y, x) are in any flip."""
    mean = np.mean([_flipped(volumes, axes) for axes in _FLIPS], axis=0)
    z, y, x = (side // 2 for side in volumes.shape[1:])
    octant = mean[:, :z, :y, :x].reshape(len(volumes), -1)
    centred = octant - octant.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    coordinates: NDArray[np.floating] = centred @ directions[:_COMPONENTS].T
    return coordinates / np.sqrt(octant.shape[1])


def _flipped(volumes: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    """Volumes (n, z, y, x), each flipped along these of its axes."""
    return np.flip(volumes, tuple(axis + 1 for axis in axes))
