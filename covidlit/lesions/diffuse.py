"""Lesions of a map of classes; objects that were found in it say which small pieces count.

Diffuse ground glass has no border to speak of: a map of classes says where it is and how much, and
objects cut it as they please. So a lesion is what hangs together in the map. But a map has specks
at its borders, of another class or of their own, which would be most of the lesions that are
counted: a small one is believed where an object of its class was found there as well.
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covidlit.lesions.matching import number_lesions
from covidlit.scans.lesion_labels import FIRST_LESION

LUNG = 1

_AROUND = np.ones((3, 3, 3), dtype=bool)


def lesions_of_map(
    semantic: NDArray[np.uint8],
    found: NDArray[np.uint8],
    spacing: tuple[float, float, float],
    *,
    min_volume_ml: float = 0.0,
    doubtful_ml: float = 0.0,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Number the lesions of a map of classes.

    A lesion is what hangs together (26 neighbours) in one class. A piece below `doubtful_ml` in
    which no object of its class was found becomes part of the lesion that it has most contact with,
    and of its class; where it touches none, it becomes lung.

    Args:
        semantic: (z, y, x), values of contract 7.
        found: (z, y, x), the classes of objects that were found, 0 elsewhere; such as
            `covidlit.lesions.matching.match_slices` gives.
        spacing: in mm, (z, y, x).
        min_volume_ml: smaller lesions are left out, whatever was found; they become lung.
        doubtful_ml: see above.

    Returns:
        Classes and instances, as contract 7 has them, numbered from 1 by falling volume.
    """
    classes, voxel_ml = semantic.copy(), float(np.prod(spacing)) / 1000
    box = _box_of(classes >= FIRST_LESION)
    if box is None:
        return classes, np.zeros(classes.shape, np.int32)
    if doubtful_ml > 0:  # in the box: a fourth of a volume, or less
        _settle_doubtful(classes[box], found[box], doubtful_ml / voxel_ml)
    numbers = number_lesions(classes)
    if min_volume_ml > 0:
        small = np.bincount(numbers.ravel()) * voxel_ml < min_volume_ml
        small[0] = False
        gone = small[numbers]
        classes[gone] = LUNG
        numbers[gone] = 0  # the smallest have the last numbers
    return classes, numbers


def _settle_doubtful(
    classes: NDArray[np.uint8], found: NDArray[np.uint8], most_voxels: float
) -> None:
    """Give doubtful pieces, the smallest first, to what they touch; changes `classes`."""
    lesion = np.where(classes >= FIRST_LESION, classes, 0).astype(np.uint8)
    pieces = cc3d.connected_components(lesion, connectivity=26)
    sizes = np.bincount(pieces.ravel())
    believed = np.zeros(len(sizes), dtype=bool)
    believed[np.unique(pieces[(found == lesion) & (lesion > 0)])] = True
    places = ndimage.find_objects(pieces)
    part_of = np.arange(len(sizes))  # the piece that each has become part of
    grown = sizes.copy()  # with what has become part of it
    doubtful = np.flatnonzero(~believed & (sizes < most_voxels))
    for piece in sorted(doubtful[doubtful > 0], key=lambda each: int(sizes[each])):
        place = places[piece - 1]
        assert place is not None
        wider = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in place)
        own = pieces[wider] == piece
        touched = pieces[wider][ndimage.binary_dilation(own, _AROUND) & ~own]
        touched = _roots(part_of, touched[touched > 0])
        touched = touched[touched != piece]
        if len(touched):
            part_of[piece] = largest = np.bincount(touched).argmax()
            grown[largest] += grown[piece]
        elif grown[piece] < most_voxels:
            part_of[piece] = 0
    class_of = np.zeros(len(sizes), np.uint8)
    class_of[pieces.ravel()] = lesion.ravel()
    new = class_of[_roots(part_of, np.arange(len(sizes)))]
    new[0] = 0
    changed = (pieces > 0) & (new[pieces] != lesion)
    classes[changed] = np.where(new[pieces][changed] > 0, new[pieces][changed], LUNG)


def _roots(part_of: NDArray[np.intp], pieces: NDArray[np.integer]) -> NDArray[np.intp]:
    """The pieces that others have become part of in the end."""
    found = part_of[pieces]
    while ((nxt := part_of[found]) != found).any():
        found = nxt
    return found


def _box_of(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """The smallest box around what is True; None where nothing is."""
    planes: NDArray[np.bool_] = np.asarray(mask.any(axis=(1, 2)))
    if not planes.any():
        return None
    section: NDArray[np.bool_] = np.asarray(mask[planes].any(axis=0))
    ends = [np.flatnonzero(each) for each in (planes, section.any(axis=1), section.any(axis=0))]
    z, y, x = (slice(int(each[0]), int(each[-1]) + 1) for each in ends)
    return z, y, x
