"""One synthetic scan: anatomy, lesions and scanner put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.synthetic.cases import Case
from covidlit.cohort.synthetic.grid import Grid
from covidlit.cohort.synthetic.noise import digitise, scanner_noise


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
    import cc3d

    z, y, x = grid.axes
    body = (x / 165) ** 2 + (y / 115) ** 2 < 1
    lungs = ((np.abs(x) - 75) / 60) ** 2 + ((y - 5) / 85) ** 2 + ((z + 20) / 120) ** 2 < 1
    hu = np.full(grid.shape, -1000, np.float32)
    hu[np.broadcast_to(body, hu.shape)] = 40
    hu[lungs] = -850
    classes = lungs.astype(np.uint8)
    if case.lesion_volume_ml:
        rng = case.generator("lesions")
        for side in (-1, 1) if case.class_name == "covid" else (1,):
            d = (x - side * 110) ** 2 + (y - 40 - rng.normal(0, 10)) ** 2 + (z + 60) ** 2
            lesion = lungs & (d < 25**2)
            classes[lesion] = 3 if case.class_name == "covid" else 2
            hu[lesion] = -550 if case.class_name == "covid" else 30
    instances = cc3d.connected_components(np.where(classes > 1, classes, 0).astype(np.uint8))
    hu += scanner_noise(case, grid, slice(0, grid.shape[0]))
    return Rendered(digitise(case, grid, hu), classes, instances.astype(np.uint16))
