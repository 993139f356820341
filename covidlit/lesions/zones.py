"""Where in the lungs: right and left, upper, middle and lower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.lesions.lung_sides import seam_between_lungs
from covidlit.lesions.volume import Crop
from covidlit.scans.thinned import thinned

SIDES = ("right", "left")
ZONES = ("lower", "middle", "upper")

_TISSUE_HU = -300


@dataclass(frozen=True)
class LungZones:
    """The lungs of a scan by side and height.

    Args:
        seam: (z, y), see `seam_between_lungs`.
        voxels: of the lung fields by slice and side, (z, 2): right, left.
        zone: of each slice, (z,): 0 lower, 1 middle, 2 upper third of the height that the lung
            fields span; both lungs share the heights.
    """

    seam: NDArray[np.float32]
    voxels: NDArray[np.int64]
    zone: NDArray[np.intp]


def lung_zones(
    classes: NDArray[Any], hu: NDArray[np.int16], spacing: tuple[float, float, float]
) -> LungZones:
    """Part the lung fields into sides and zones.

    Zones are thirds of the height from the lowest to the highest slice that shows lung, which needs
    no landmark. (Radiologists part them at the carina and the lower pulmonary veins, which lie
    close to the thirds.)

    Args:
        classes: (z, y, x), 0 outside the lung fields.
        hu: of the same scan, for the middle of the body.
        spacing: in mm, (z, y, x).
    """
    coarse, steps = thinned(hu, spacing)
    tissue = np.count_nonzero(coarse > _TISSUE_HU, axis=(0, 1))
    middle = None
    if tissue.any():
        half = np.searchsorted(np.cumsum(tissue), tissue.sum() / 2)
        middle = float(half * round(steps[2] / spacing[2]))
    seam = seam_between_lungs(classes, spacing, middle)
    columns = np.arange(classes.shape[2], dtype=np.float32)
    voxels = np.zeros((len(classes), 2), np.int64)
    for z, section in enumerate(classes):
        lung = section != 0
        voxels[z, 0] = np.count_nonzero(lung)
        if voxels[z, 0]:
            lung &= columns >= seam[z][:, None]
            voxels[z, 1] = np.count_nonzero(lung)
    voxels[:, 0] -= voxels[:, 1]
    seen = np.flatnonzero(voxels.sum(axis=1))
    zone = np.zeros(len(classes), np.intp)
    if len(seen):
        part = (np.arange(len(classes)) - seen[0] + 0.5) / (seen[-1] - seen[0] + 1)
        zone = np.clip((part * len(ZONES)).astype(np.intp), 0, len(ZONES) - 1)
    return LungZones(seam, voxels, zone)


def lesion_zones(crop: Crop, lungs: LungZones) -> NDArray[np.int64]:
    """Voxels of a lesion by slice of its box and side, (slices, 2)."""
    z, y, x = crop.box
    columns = np.arange(x.start, x.stop, dtype=np.float32)
    left = columns >= lungs.seam[z, y][..., None]
    total = np.count_nonzero(crop.mask, axis=(1, 2))
    on_left = np.count_nonzero(crop.mask & left, axis=(1, 2))
    return np.stack([total - on_left, on_left], axis=1)
