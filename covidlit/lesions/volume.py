"""Volume of lesions, and the boxes that hold them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Crop:
    """One lesion in the smallest box around it.

    Args:
        number: in the volume of instances.
        box: where it lies in the volume.
        mask: bool (z, y, x), the lesion's voxels in the box.
        n_voxels: how many these are.
    """

    number: int
    box: Box
    mask: NDArray[np.bool_]
    n_voxels: int

    def fingerprint(self) -> str:
        """Hash of which voxels of the volume are the lesion's."""
        place = ",".join(f"{part.start}-{part.stop}" for part in self.box)
        return hashlib.sha256(place.encode() + np.packbits(self.mask).tobytes()).hexdigest()


def voxel_ml(affine: NDArray[np.float64]) -> float:
    """Volume of a voxel in mL: the determinant of the affine, which is right for tilted axes too.

    Args:
        affine: (4, 4), index to mm.
    """
    return float(abs(np.linalg.det(np.asarray(affine, np.float64)[:3, :3]))) / 1000


def crops_of(instances: NDArray[Any]) -> list[Crop]:
    """The lesions of a volume of instances, by number.

    Volume of a lesion = its voxels times `voxel_ml`: IBSI's "approximate volume" (2.1.1, YEKZ),
    which is exact for what was labelled. The mesh volume (RNU0) loses a layer of up to half a voxel
    everywhere, 5/6 of a single voxel; `spread` gives it beside.
    """
    found = []
    for number, box in enumerate(scipy.ndimage.find_objects(instances), start=1):
        if box is None:
            continue
        mask = instances[box] == number
        found.append(Crop(number, box, mask, int(np.count_nonzero(mask))))
    return found


def grown(box: Box, by: tuple[int, int, int], shape: tuple[int, ...]) -> Box:
    """A box with so many voxels more at either end of each axis, within the volume."""
    z, y, x = (
        slice(max(0, part.start - more), min(size, part.stop + more))
        for part, more, size in zip(box, by, shape, strict=True)
    )
    return z, y, x


def inside(box: Box, larger: Box) -> Box:
    """Where a box lies in a larger one."""
    z, y, x = (
        slice(one.start - other.start, one.stop - other.start)
        for one, other in zip(box, larger, strict=True)
    )
    return z, y, x


def widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is True, and the 26 neighbours of it."""
    out = mask
    for axis in range(3):
        step = out.copy()
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        step[tuple(ahead)] |= out[tuple(behind)]
        step[tuple(behind)] |= out[tuple(ahead)]
        out = step
    return out
