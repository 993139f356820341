"""A scan and its labels with fewer voxels, so that a browser can turn them in space.

Read plane by plane: a scan of hundreds of slices is never in memory whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.platform.viewing.planes import Planes

SIZES = (128, 256)
"""Voxels that a side has at most: WebGL 2 promises textures of 256 a side; a phone, or a computer
whose processor draws, carries 128."""

LUNG = np.uint8(1)


@dataclass(frozen=True)
class ReducedScan:
    """Cells, each the mean of a block of voxels.

    Args:
        hu: int16 (z, y, x).
        affine: index (z, y, x) of a cell to LPS mm of its centre.
    """

    hu: NDArray[np.int16]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class ReducedLabels:
    """Lungs and lesions in the same cells.

    Args:
        classes: uint8 (z, y, x), contract 7.
        instances: int32, numbers of the lesions.
        affine: as of the scan.
        centres: LPS mm of each lesion: of its cells the one next to its centre of mass, so that
            there is something to look at.
    """

    classes: NDArray[np.uint8]
    instances: NDArray[np.int32]
    affine: NDArray[np.float64]
    centres: dict[int, list[float]]


def reduced_scan(planes: Planes, most: int) -> ReducedScan:
    """A scan in at most so many cells a side.

    Args:
        planes: axial ones.
        most: cells.
    """
    factors = _factors(planes, most)
    slabs = _slabs(planes, factors[0])
    cells = [np.rint(_means(slab, factors[1:])).astype(np.int16) for slab in slabs]
    return ReducedScan(np.stack(cells), _affine_of(planes.affine, factors))


def reduced_labels(labels: Planes, scan: Planes, most: int) -> ReducedLabels:
    """Labels in at most so many cells a side.

    A cell is of a lesion where at least half of it is, and lung where half of it is in the body's
    labels; a lesion that is nowhere so has the cells that hold at least half as much of it as its
    fullest one. Of several lesions in a cell the one with the highest number has it.

    Args:
        labels: axial planes of a labelling: classes and numbers.
        scan: axial planes of its scan, for the geometry.
        most: cells.
    """
    factors = _factors(labels, most)
    class_of: dict[int, int] = {0: 0}
    classes, numbers, held = [], [], []
    for z, slab in enumerate(_slabs(labels, factors[0])):
        kinds, lesions = slab[:, 0], slab[:, 1]
        is_lesion = lesions > 0
        most_of = _means(is_lesion, factors[1:]) >= 0.5
        numbers.append(np.where(most_of, _largest(lesions, factors[1:]), 0))
        classes.append((_means(kinds > 0, factors[1:]) >= 0.5).astype(np.uint8) * LUNG)
        known, first = np.unique(lesions[is_lesion], return_index=True)
        class_of.update(zip(known.tolist(), kinds[is_lesion][first].tolist(), strict=True))
        held.append(_held(lesions, z, factors[1:]))
    rows, volume = np.concatenate(held), np.stack(numbers)
    _keep_small(volume, rows)
    table = np.zeros(max(class_of) + 1, np.uint8)
    table[list(class_of)] = list(class_of.values())
    affine = _affine_of(scan.affine, factors)
    return ReducedLabels(
        np.where(volume > 0, table[volume], np.stack(classes)).astype(np.uint8),
        volume.astype(np.int32),
        affine,
        _centres(rows, volume, affine),
    )


def _factors(planes: Planes, most: int) -> tuple[int, int, int]:
    z, y, x = (-(-size // most) for size in (len(planes), *planes.shape))
    return z, y, x


def _affine_of(affine: NDArray[np.float64], factors: tuple[int, int, int]) -> NDArray[np.float64]:
    scaled = affine.copy()
    scaled[:3, :3] *= factors
    scaled[:3, 3] += affine[:3, :3] @ ((np.array(factors) - 1) / 2)
    return scaled


def _slabs(planes: Planes, thick: int) -> Iterator[NDArray[Any]]:
    """So many planes at a time; the last one again where some are missing."""
    last = len(planes) - 1
    for first in range(0, len(planes), thick):
        yield np.stack([planes.plane(min(first + k, last)) for k in range(thick)])


def _parts(slab: NDArray[Any], factors: tuple[int, int]) -> Iterator[NDArray[Any]]:
    """(planes, y, x) as volumes of cells, one for each place in a block; the edge is repeated.

    To go over these is ten times as fast as over axes of a reshaped array.
    """
    missing = [(0, 0), *((0, -n % f) for n, f in zip(slab.shape[1:], factors, strict=True))]
    padded = np.pad(slab, missing, mode="edge") if np.any(missing) else slab
    for plane in padded:
        for y, x in np.ndindex(factors):
            yield plane[y :: factors[0], x :: factors[1]]


def _means(slab: NDArray[Any], factors: tuple[int, int]) -> NDArray[np.float32]:
    total = sum(part.astype(np.int32) for part in _parts(slab, factors))
    return np.asarray(total / np.float32(len(slab) * factors[0] * factors[1]), np.float32)


def _largest(slab: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
    return reduce(np.maximum, _parts(slab, factors))


def _held(lesions: NDArray[Any], z: int, factors: tuple[int, int]) -> NDArray[np.int64]:
    """How many voxels of which lesion a cell holds: rows of (count, number, z, y, x)."""
    where = np.nonzero(lesions)
    high, wide = (-(-n // f) for n, f in zip(lesions.shape[1:], factors, strict=True))
    y, x = (place // f for place, f in zip(where[1:], factors, strict=True))
    key = (lesions[where].astype(np.int64) * high + y) * wide + x  # numbers sort fast, rows not
    keys, counts = np.unique(key, return_counts=True)
    rest, x = np.divmod(keys, wide)
    number, y = np.divmod(rest, high)
    return np.stack([counts, number, np.full(len(keys), z), y, x], axis=1)


def _keep_small(volume: NDArray[Any], held: NDArray[np.int64]) -> None:
    """Give lesions that have no cell those that hold most of them."""
    gone = held[~np.isin(held[:, 1], np.unique(volume))]
    if not len(gone):
        return
    fullest = np.zeros(gone[:, 1].max() + 1, np.int64)
    np.maximum.at(fullest, gone[:, 1], gone[:, 0])
    own = gone[2 * gone[:, 0] >= fullest[gone[:, 1]]]
    volume[tuple(own[:, 2:].T)] = own[:, 1]


def _centres(
    held: NDArray[np.int64], volume: NDArray[Any], affine: NDArray[np.float64]
) -> dict[int, list[float]]:
    points = held[:, 2:] @ affine[:3, :3].T + affine[:3, 3]
    is_own = volume[tuple(held[:, 2:].T)] == held[:, 1]
    found = {}
    for number in np.unique(held[:, 1]).tolist():
        own = held[:, 1] == number
        centre = np.average(points[own], axis=0, weights=held[own, 0])
        shown = own & is_own if (own & is_own).any() else own  # where another one lies over it
        nearest = np.linalg.norm(points[shown] - centre, axis=1).argmin()
        found[number] = [round(float(mm), 2) for mm in points[shown][nearest]]
    return found
