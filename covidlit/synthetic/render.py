"""One synthetic scan: anatomy, lesions and scanner put together."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from covidlit.synthetic.cases import Case
from covidlit.synthetic.grid import Grid
from covidlit.synthetic.lesions import draw_lesions
from covidlit.synthetic.nodules import draw_nodules
from covidlit.synthetic.noise import digitise, scanner_noise
from covidlit.synthetic.thorax import Chest

SLAB_VOXELS = 1_500_000
"""Slices are drawn in slabs of about so many voxels, to bound the memory."""


@dataclass(frozen=True)
class Rendered:
    """A drawn scan, all arrays (z, y, x) on the same grid.

    Args:
        hu: int16 HU, padding included.
        classes: uint8, contract 7: 0 background, 1 lung, 2-6 lesions.
        instances: uint16, 0 or the number of the lesion.
    """

    hu: NDArray[np.int16]
    classes: NDArray[np.uint8]
    instances: NDArray[np.uint16]


def render(case: Case, grid: Grid) -> Rendered:
    """Draw a case on a grid."""
    chest = Chest(case)
    hu = np.empty(grid.shape, np.float32)
    lung = np.empty(grid.shape, np.bool_)
    depth = max(1, SLAB_VOXELS // (grid.shape[1] * grid.shape[2]))
    for first in range(0, grid.shape[0], depth):
        last = min(first + depth, grid.shape[0])
        hu[first:last], part = chest.draw(grid.slab(first, last))
        lung[first:last] = part > 0.5
    draw_nodules(chest, grid, hu)
    classes = draw_lesions(chest, grid, hu, lung)
    instances = cc3d.connected_components(np.where(classes > 1, classes, 0).astype(np.uint8))
    hu += scanner_noise(case, grid, slice(0, grid.shape[0]))
    return Rendered(digitise(case, grid, hu), classes, instances.astype(np.uint16))
