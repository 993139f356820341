"""Lesions of two scans of a patient matched to each other: new, gone, grown, merged, split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from covidlit.errors import CovidlitError
from covidlit.lesions.agreement import verdict
from covidlit.lesions.registration import align_lungs
from covidlit.lesions.volume import voxel_ml
from covidlit.scans.lesion_labels import LesionLabels

TOLERANCE_MM = 8.0
"""Lesions this near after the alignment are taken for the same: breathing bends the lung."""

LEAST_SHARE = 0.3
"""Of a lesion, that must lie within the tolerance of the other one."""

GRID_MM = 3.0

_NAMES = {
    "more": "grown", "less": "shrunk", "within limits": "unchanged", "undefined": "unchanged",
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What became of some lesions.

    Args:
        kind: "new", "gone", "grown", "shrunk", "unchanged", "merged", "split", or
            "merged and split".
        before: numbers in the earlier scan, ascending.
        after: numbers in the later scan.
        volume_before_ml, volume_after_ml: of these lesions together.
    """

    kind: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    volume_before_ml: float
    volume_after_ml: float


def lesion_changes(earlier: LesionLabels, later: LesionLabels) -> list[Change]:
    """Match the lesions of two scans, rigidly aligned on the lungs.

    Two lesions are linked where `LEAST_SHARE` of either one lies within `TOLERANCE_MM` of the
    other, whatever their classes: ground glass becomes consolidation. What is linked, also by way
    of others, is one change. One lesion that stayed one is called grown or shrunk only beyond the
    limits of agreement.

    Args:
        earlier: labels of the earlier scan, with its lungs.
        later: labels of the later scan.

    Raises:
        CovidlitError: a scan has no lung to align on.
    """
    before, after = _volumes(earlier), _volumes(later)
    links: set[tuple[int, int]] = set()
    if before and after:
        for which, labels in (("earlier", earlier), ("later", later)):
            # On the lesions themselves any two scans could be laid on each other.
            if not (labels.classes == 1).any():
                raise CovidlitError(
                    f"there is no lung to align the scans on: the {which} one has none.",
                    fix="give labels with the lung (class 1).",
                )
        motion = align_lungs(earlier.classes, earlier.affine, later.classes, later.affine)
        links = _links(earlier, later, motion)
    return _grouped(before, after, links)


def _volumes(labels: LesionLabels) -> dict[int, float]:
    counts = np.bincount(labels.instances.ravel())
    unit = voxel_ml(labels.affine)
    return {int(n): float(counts[n]) * unit for n in np.flatnonzero(counts) if n}


def _links(
    earlier: LesionLabels, later: LesionLabels, motion: NDArray[np.float64]
) -> set[tuple[int, int]]:
    """Pairs (number before, number after), from sampling both ways."""
    backwards = np.linalg.inv(motion).astype(np.float64)
    there = _reached(earlier, later, backwards)
    back = {(other, one) for one, other in _reached(later, earlier, motion)}
    return there | back


def _reached(
    source: LesionLabels, target: LesionLabels, motion: NDArray[np.float64]
) -> set[tuple[int, int]]:
    """Pairs (source, target) of which `LEAST_SHARE` of the source lies near the target.

    Args:
        motion: LPS mm of the source to LPS mm of the target.
    """
    near, to_index = _near(target)
    at = np.argwhere(source.instances)
    numbers = source.instances[tuple(at.T)]
    whole = to_index @ motion @ source.affine
    index = np.rint(at @ whole[:3, :3].T + whole[:3, 3]).astype(np.intp)
    valid = ((index >= 0) & (index < near.shape)).all(axis=1)
    found = np.zeros(len(at), np.int64)
    found[valid] = near[tuple(index[valid].T)]
    counts = np.bincount(numbers)
    size = int(found.max(initial=0)) + 1
    pairs, shared = np.unique(numbers.astype(np.int64) * size + found, return_counts=True)
    return {
        (int(pair // size), int(pair % size))
        for pair, n in zip(pairs, shared, strict=True)
        if pair % size and n >= LEAST_SHARE * counts[pair // size]
    }


def _near(labels: LesionLabels) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The number of the nearest lesion within the tolerance on a coarse grid, and mm to index."""
    spacing = np.linalg.norm(labels.affine[:3, :3], axis=0)
    factor = np.maximum(1, np.rint(GRID_MM / spacing).astype(int))
    room = np.ceil(TOLERANCE_MM / (factor * spacing)).astype(int) + 1
    at = np.argwhere(labels.instances)
    cells = np.rint(at / factor).astype(np.intp)
    shape = tuple(np.ceil(np.array(labels.instances.shape) / factor).astype(int) + 1 + 2 * room)
    coarse = np.zeros(shape, np.int32)
    numbers = labels.instances[tuple(at.T)]
    # Small lesions last, so that a large one does not hide them on the coarse grid.
    order = np.argsort(-np.bincount(numbers)[numbers], kind="stable")
    coarse[tuple((cells + room)[order].T)] = numbers[order]
    distance, nearest = scipy.ndimage.distance_transform_edt(
        coarse == 0, sampling=factor * spacing, return_indices=True
    )
    filled = np.where(distance <= TOLERANCE_MM, coarse[tuple(nearest)], 0).astype(np.int32)
    affine = labels.affine.copy()
    affine[:3, :3] = labels.affine[:3, :3] * factor
    affine[:3, 3] = labels.affine[:3, 3] - affine[:3, :3] @ room
    return filled, np.linalg.inv(affine).astype(np.float64)


def _grouped(
    before: dict[int, float], after: dict[int, float], links: set[tuple[int, int]]
) -> list[Change]:
    old, new = sorted(before), sorted(after)
    index = {("old", n): k for k, n in enumerate(old)}
    index |= {("new", n): len(old) + k for k, n in enumerate(new)}
    pairs = sorted((index["old", a], index["new", b]) for a, b in links)
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    graph = coo_array((np.ones(len(pairs), bool), (rows, columns)), shape=(len(index),) * 2)
    count, group = connected_components(graph, directed=False) if index else (0, np.zeros(0))
    out = []
    for each in range(count):
        one = tuple(n for n in old if group[index["old", n]] == each)
        other = tuple(n for n in new if group[index["new", n]] == each)
        volumes = sum(before[n] for n in one), sum(after[n] for n in other)
        out.append(Change(_kind(len(one), len(other), *volumes), one, other, *volumes))
    return sorted(out, key=lambda change: (change.before or (1 << 30,), change.after))


def _kind(before: int, after: int, volume_before: float, volume_after: float) -> str:
    if not before:
        return "new"
    if not after:
        return "gone"
    if before > 1 and after > 1:
        return "merged and split"
    if before > 1:
        return "merged"
    if after > 1:
        return "split"
    return _NAMES[verdict("total_volume_ml", volume_before, volume_after)]
