"""From what was found in single slices to lesions in the volume: overlap and class decide."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from covidlit.errors import ConfigError
from covidlit.lesions.distance import distance_within
from covidlit.lesions.slice_instances import SliceInstances
from covidlit.scans.lesion_labels import FIRST_LESION, LabelError

LUNG = 1


def match_slices(
    slices: Iterable[SliceInstances],
    spacing: tuple[float, float, float],
    *,
    min_overlap: float = 0.25,
    bridge_slices: int = 1,
    min_score: float = 0.5,
    min_volume_ml: float = 0.0,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Join the instances of single slices to lesions in the volume.

    Two instances of one class in slices next to each other are of one lesion where they share at
    least `min_overlap` of the smaller one; a lesion is all that hangs together so. Lesions that
    split or merge from slice to slice are therefore one, whether they are gone through from the
    feet or from the head, and whatever the order of the instances in a slice. A pixel that several
    instances claim belongs to the one with the highest score (then: the higher class, the smaller
    area, the mask that comes first as bytes); lesions lie over the lung.

    Args:
        slices: one per slice, feet to head, all of one size.
        spacing: in mm, (z, y, x).
        min_overlap: share of the smaller area, above 0 to 1.
        bridge_slices: so many slices in which a lesion was not found are bridged; its section is
            interpolated there (the mean of the signed distances of both sides), where nothing else
            was found. 0: none.
        min_score: instances below it are left out.
        min_volume_ml: smaller lesions are left out; they become lung.

    Returns:
        Classes and instances, (z, y, x), as contract 7 has them: lesions numbered from 1 by falling
        volume.

    Raises:
        ConfigError: an argument out of range.
        LabelError: no slice, or slices of different sizes.
    """
    _check(min_overlap, bridge_slices, min_score, min_volume_ml)
    classes, nodes, kinds = _stacked(slices, min_score)
    if len(kinds) > 1:
        own = _lesion_of_nodes(nodes, kinds, min_overlap, bridge_slices)
        instances = own[nodes]
        if bridge_slices:
            _fill_bridges(classes, instances, bridge_slices, spacing[1:])
    else:
        instances = nodes
    _drop_small(classes, instances, min_volume_ml, float(np.prod(spacing)) / 1000)
    return classes, numbered_by_volume(instances)


def _check(overlap: float, bridge: int, score: float, volume: float) -> None:
    for name, value, fits, rule in (
        ("min_overlap", overlap, 0 < overlap <= 1, "above 0 and at most 1"),
        ("bridge_slices", bridge, bridge >= 0, "0 or more"),
        ("min_score", score, 0 <= score <= 1, "0 to 1"),
        ("min_volume_ml", volume, volume >= 0, "0 or more"),
    ):
        if not fits:
            raise ConfigError(f"must be {rule}, got {value}.", where=name)


def _stacked(
    slices: Iterable[SliceInstances], min_score: float
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8]]:
    """Classes, a number per instance of a slice, and the class of each number (0 for 0)."""
    classes: list[NDArray[np.uint8]] = []
    nodes: list[NDArray[np.int32]] = []
    kinds = [0]
    for z, found in enumerate(slices):
        shape = found.masks.shape[1:]
        if classes and classes[0].shape != shape:
            raise LabelError(
                f"slice {z} has {shape} pixels, the first one {classes[0].shape}.",
                fix="give the slices of one series, in its geometry.",
            )
        kind, number = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
        for k in _order(found):
            if found.scores[k] < min_score:
                continue
            mask, label = found.masks[k], int(found.labels[k])
            if label == LUNG:
                kind[mask & (kind == 0)] = LUNG
                continue
            kinds.append(label)
            kind[mask], number[mask] = label, len(kinds) - 1
        classes.append(kind)
        nodes.append(number)
    if not classes:
        raise LabelError("there is no slice.", fix="give one SliceInstances per slice.")
    return np.stack(classes), np.stack(nodes), np.array(kinds, np.uint8)


def _order(found: SliceInstances) -> list[int]:
    """The instances from the weakest to the strongest claim, whatever order they came in."""
    areas = found.masks.sum(axis=(1, 2))

    def key(k: int) -> tuple[float, int, int, bytes]:
        mask = found.masks[k]
        return (
            float(found.scores[k]),
            int(found.labels[k]),
            -int(areas[k]),
            np.packbits(mask).tobytes(),
        )

    return sorted(range(len(found)), key=key)


def _lesion_of_nodes(
    nodes: NDArray[np.int32], kinds: NDArray[np.uint8], min_overlap: float, bridge: int
) -> NDArray[np.int32]:
    """The lesion of each instance, by number; 0 for 0."""
    count = len(kinds)
    # Of the few pixels of lesions: counting casts to eight bytes.
    areas = np.bincount(nodes[nodes > 0], minlength=count)
    links: list[NDArray[np.int64]] = []
    for step in range(1, min(bridge + 1, len(nodes) - 1) + 1):
        for lower, upper in zip(nodes[:-step], nodes[step:], strict=True):
            both = (lower > 0) & (upper > 0)
            if not both.any():
                continue
            pair, shared = np.unique(
                lower[both].astype(np.int64) * count + upper[both], return_counts=True
            )
            one, other = pair // count, pair % count
            enough = shared >= min_overlap * np.minimum(areas[one], areas[other])
            enough &= kinds[one] == kinds[other]
            links.append(np.stack([one[enough], other[enough]]))
    one, other = np.concatenate(links, axis=1) if links else np.zeros((2, 0), np.int64)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(count, count))
    own = connected_components(graph, directed=False)[1].astype(np.int32)
    # The background, number 0, is linked to nothing.
    own = np.where(own == own[0], 0, own + 1)
    return own.astype(np.int32)


def _fill_bridges(
    classes: NDArray[np.uint8],
    instances: NDArray[np.int32],
    bridge: int,
    pixel: tuple[float, ...],
) -> None:
    """Draw the missing sections of lesions in place, where there is nothing but lung."""
    present = [np.unique(section[section > 0]) for section in instances]
    where: dict[int, list[int]] = {}
    for z, numbers in enumerate(present):
        for number in numbers:
            where.setdefault(int(number), []).append(z)
    claims: dict[int, tuple[NDArray[np.float32], NDArray[np.int32]]] = {}
    for number, at in where.items():
        for low, high in pairwise(at):
            if not 1 < high - low <= bridge + 1:
                continue
            below = _signed(instances[low] == number, pixel)
            above = _signed(instances[high] == number, pixel)
            for z in range(low + 1, high):
                part = (z - low) / (high - low)
                depth = ((1 - part) * below + part * above).astype(np.float32)
                if z not in claims:
                    claims[z] = np.zeros_like(depth), np.zeros(depth.shape, np.int32)
                deepest, owner = claims[z]
                # Where two claim alike, neither gets it: nothing hangs on their numbers.
                owner[(depth > 0) & (depth == deepest)] = 0
                owner[depth > deepest] = number
                np.maximum(deepest, depth, out=deepest)
    kinds = np.zeros(int(instances.max(initial=0)) + 1, np.uint8)
    kinds[instances.ravel()] = classes.ravel()
    for z, (_, owner) in claims.items():
        free = (owner > 0) & (classes[z] <= LUNG)
        classes[z][free], instances[z][free] = kinds[owner[free]], owner[free]


def _signed(mask: NDArray[np.bool_], pixel: tuple[float, ...]) -> NDArray[np.float32]:
    padded = np.pad(mask, 1)
    inside = distance_within(padded, pixel)
    outside = distance_within(~padded, pixel)
    out: NDArray[np.float32] = (inside - outside)[1:-1, 1:-1]
    return out


def _drop_small(
    classes: NDArray[np.uint8], instances: NDArray[np.int32], least_ml: float, voxel_ml: float
) -> None:
    if least_ml <= 0:
        return
    small = np.bincount(instances[instances > 0]) * voxel_ml < least_ml
    if not len(small):
        return
    small[0] = False
    gone = small[instances]
    classes[gone], instances[gone] = LUNG, 0


def numbered_by_volume(instances: NDArray[Any]) -> NDArray[np.int32]:
    """The same lesions numbered from 1 by falling number of voxels, then by their first voxel."""
    flat = instances.ravel()
    at = np.flatnonzero(flat)  # sorting all voxels to find the few of lesions takes seconds
    number = flat[at]
    counts = np.bincount(number)
    first = np.full(len(counts), flat.size, np.int64)
    np.minimum.at(first, number, at)
    order = np.lexsort((first, -counts))
    lookup = np.zeros(len(counts) or 1, np.int32)
    order = order[counts[order] > 0]
    lookup[order] = np.arange(1, len(order) + 1)
    out = np.zeros(flat.size, np.int32)
    out[at] = lookup[number]
    return out.reshape(instances.shape)


def number_lesions(classes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Number the lesions of a volume of classes: connected components of each class.

    Neighbours are the 26 around a voxel. For classes without instances, such as those of a network
    that labels voxels, or masks that others have drawn.

    Args:
        classes: (z, y, x), values of contract 7.

    Returns:
        int32 (z, y, x): 0, or the lesion's number from 1 by falling volume.
    """
    lesions = np.where(classes >= FIRST_LESION, classes, 0).astype(np.uint8)
    return numbered_by_volume(cc3d.connected_components(lesions, connectivity=26))
