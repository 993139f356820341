"""A lesion with room around it, and the distance of its surroundings to its border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.lesions.distance import distance_across
from covidlit.lesions.volume import Box, Crop, grown, inside

BAND_MM = 3.0
"""Room around the lesion: so far to either side its edge and its form are looked at."""


@dataclass(frozen=True)
class Surroundings:
    """A lesion in its box with `BAND_MM` and a voxel around it, also beyond the volume.

    Args:
        box: the part of it that lies in the volume.
        place: where `box` lies in the arrays.
        middle: where the smallest box around the lesion lies in them.
        mask: bool (z, y, x), the lesion.
        signed: float32, of voxels in the lesion the distance to the nearest centre outside, of
            those outside minus that to the nearest centre inside, mm.
    """

    box: Box
    place: Box
    middle: Box
    mask: NDArray[np.bool_]
    signed: NDArray[np.float32]

    def of(self, volume: NDArray[Any]) -> NDArray[Any]:
        """The same voxels of a volume, 0 beyond it."""
        part = volume[self.box]
        if part.shape == self.mask.shape:
            return part
        out = np.zeros(self.mask.shape, volume.dtype)
        out[self.place] = part
        return out


def surroundings_of(
    crop: Crop, shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> Surroundings:
    """The surroundings of a lesion.

    Args:
        crop: the lesion.
        shape: of the volume.
        spacing: in mm, (z, y, x).
    """
    by = [int(np.ceil(BAND_MM / step)) + 1 for step in spacing]
    box = grown(crop.box, (by[0], by[1], by[2]), shape)
    z, y, x = (slice(m, m + n) for m, n in zip(by, crop.mask.shape, strict=True))
    mask = np.zeros([n + 2 * m for m, n in zip(by, crop.mask.shape, strict=True)], np.bool_)
    mask[z, y, x] = crop.mask
    whole = tuple(
        slice(part.start - m, part.stop + m) for part, m in zip(crop.box, by, strict=True)
    )
    place = inside(box, (whole[0], whole[1], whole[2]))
    distance = distance_across(mask, spacing)
    signed = np.where(mask, distance, -distance)
    return Surroundings(box, place, (z, y, x), mask, signed)
