"""Where the planes of a scan lie along the axes of the patient, so that two scans turn together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from covidlit.platform.viewing.planes import AXES, AXIAL, CORONAL, SAGITTAL, Planes

_ALONG = {AXIAL: (0, 2), CORONAL: (1, 1), SAGITTAL: (2, 0)}
"""Axis of the index (z, y, x), and of the patient (x to the left, y to the back, z to the head)."""


class Positions(NamedTuple):
    """The planes of an axis.

    Args:
        axis: in `AXES`.
        n_planes: how many.
        first_mm: where the middle of the first one lies along the patient's axis, LPS.
        step_mm: to the next one.
    """

    axis: str
    n_planes: int
    first_mm: float
    step_mm: float


def positions_of(planes: dict[str, Planes]) -> list[Positions]:
    """Where the planes of all axes lie.

    Args:
        planes: by axis; of a large matrix not every row and column has one.
    """
    axial = planes[AXIAL]
    shape = (len(axial), *axial.shape)
    found = []
    for axis in AXES:
        along, world = _ALONG[axis]
        own = planes[axis]
        stride = round(own.spacing[0] / axial.spacing[along])
        middle = (np.array(shape) - 1) / 2
        middle[along] = 0
        first = float(axial.affine[world, :3] @ middle + axial.affine[world, 3])
        step = float(axial.affine[world, along]) * stride
        found.append(Positions(axis, len(own), round(first, 3), round(step, 5)))
    return found
