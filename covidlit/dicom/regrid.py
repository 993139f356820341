"""Put slices of an overridden series where a regular grid expects them (linear interpolation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covidlit.dicom.geometry import Stack
from covidlit.scans.scan import AIR_HU


def to_even_steps(
    hu: NDArray[np.int16], along: NDArray[np.float64], step: float
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Interpolate slices linearly onto equal steps.

    Args:
        hu: (slice, row, column).
        along: (slice,) increasing positions, mm.
        step: mm between the new slices.

    Returns:
        The new slices and their positions, from the first old position on.
    """
    n = round(float(along[-1] - along[0]) / step) + 1
    places = along[0] + step * np.arange(n)
    right = np.clip(np.searchsorted(along, places, side="left"), 1, len(along) - 1)
    left = right - 1
    weight = np.clip((places - along[left]) / (along[right] - along[left]), 0.0, 1.0)
    new = np.empty((n, *hu.shape[1:]), np.int16)
    for k in range(n):
        mixed = hu[left[k]] * np.float32(1 - weight[k]) + hu[right[k]] * np.float32(weight[k])
        new[k] = np.rint(mixed)
    return new, places


def deshear(hu: NDArray[np.int16], stack: Stack, pixel_spacing: tuple[float, ...]) -> None:
    """Undo gantry tilt in place: shift each slice in its plane onto one common axis.

    Args:
        hu: (slice, row, column); what is shifted in from outside becomes air.
        stack: the places of the slices; the middle slice stays.
        pixel_spacing: (between rows, between columns), mm.
    """
    middle = len(hu) // 2
    for k in range(len(hu)):
        across = (stack.across[k] - stack.across[middle]) / (pixel_spacing[1], pixel_spacing[0])
        # Voxel i of the straightened slice lies where the tilted one has voxel i - shift.
        for axis, shift in ((0, float(across[1])), (1, float(across[0]))):
            if abs(shift) > 1e-3:
                hu[k] = _shift(hu[k], shift, axis)


def _shift(image: NDArray[np.int16], shift: float, axis: int) -> NDArray[np.int16]:
    moved = np.moveaxis(image, axis, 0)
    n = len(moved)
    places = np.arange(n) - shift
    left = np.floor(places).astype(int)
    weight = (places - left).astype(np.float32)[:, None]
    inside = (left >= 0) & (left + 1 < n)
    left = np.clip(left, 0, n - 2) if n > 1 else np.zeros(n, int)
    mixed = moved[left] * (1 - weight) + moved[np.minimum(left + 1, n - 1)] * weight
    mixed[~inside] = AIR_HU
    return np.moveaxis(np.rint(mixed).astype(np.int16), 0, axis)
