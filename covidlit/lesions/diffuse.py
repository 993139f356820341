"""Lesions whose voxels come from a map of classes and whose numbers come from instances.

Diffuse ground glass has no border to speak of: a map of classes says where it is, and how much; how
many lesions it is, instances say.
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covidlit.lesions.matching import numbered_by_volume
from covidlit.scans.lesion_labels import FIRST_LESION


def number_by_instances(
    semantic: NDArray[np.uint8],
    instance_classes: NDArray[np.uint8],
    instances: NDArray[np.int32],
    spacing: tuple[float, float, float],
    *,
    min_volume_ml: float = 0.0,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Number the lesions of a map of classes by the instances that were found in it.

    A voxel belongs to the instance of its class that lies there or, within its piece (26-connected
    voxels of one class), to the nearest one; a piece without any is a lesion of its own. What an
    instance claims beyond the map is left out.

    Args:
        semantic: (z, y, x), values of contract 7.
        instance_classes, instances: of `covidlit.lesions.matching.match_slices`.
        spacing: in mm, (z, y, x).
        min_volume_ml: smaller lesions are left out; they become lung.

    Returns:
        Classes and instances, as contract 7 has them, numbered from 1 by falling volume.
    """
    classes = semantic.copy()
    numbers = np.zeros(classes.shape, np.int32)
    if (box := _box_of(classes >= FIRST_LESION)) is not None:  # a fourth of a volume, or less
        numbers[box] = _numbers(classes[box], instance_classes[box], instances[box], spacing)
    if min_volume_ml > 0:
        counts = np.bincount(numbers[numbers > 0], minlength=1)
        small = counts * float(np.prod(spacing)) / 1000 < min_volume_ml
        small[0] = False
        gone = small[numbers]
        classes[gone], numbers[gone] = 1, 0
    return classes, numbered_by_volume(numbers)


def _box_of(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """The smallest box around what is True; None where nothing is."""
    planes: NDArray[np.bool_] = np.asarray(mask.any(axis=(1, 2)))
    if not planes.any():
        return None
    section: NDArray[np.bool_] = np.asarray(mask[planes].any(axis=0))
    ends = [np.flatnonzero(each) for each in (planes, section.any(axis=1), section.any(axis=0))]
    z, y, x = (slice(int(each[0]), int(each[-1]) + 1) for each in ends)
    return z, y, x


def _numbers(
    classes: NDArray[np.uint8],
    instance_classes: NDArray[np.uint8],
    instances: NDArray[np.int32],
    spacing: tuple[float, float, float],
) -> NDArray[np.int32]:
    """A number for each lesion voxel, in no particular order."""
    lesion = np.where(classes >= FIRST_LESION, classes, 0).astype(np.uint8)
    pieces = cc3d.connected_components(lesion, connectivity=26)
    numbers = np.where(instance_classes == lesion, instances, 0).astype(np.int32)
    numbers[lesion == 0] = 0
    fresh = int(numbers.max(initial=0)) + 1
    for piece, where in enumerate(ndimage.find_objects(pieces), start=1):
        if where is None:
            continue
        inside, own = pieces[where] == piece, numbers[where]
        seeds = inside & (own > 0)
        if not seeds.any():
            own[inside], fresh = fresh, fresh + 1
            continue
        found = np.unique(own[seeds])
        if len(found) == 1:
            own[inside] = found[0]
        elif not seeds[inside].all():
            nearest = ndimage.distance_transform_edt(
                ~seeds, sampling=spacing, return_distances=False, return_indices=True
            )
            own[inside] = own[tuple(nearest)][inside]
    return numbers
