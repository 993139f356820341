"""Geometry of a stack of slices, on plain arrays: normal, spacing, gaps, tilt, affine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_MAX_FITTED = 400


@dataclass(frozen=True)
class Stack:
    """A line through the slices' positions.

    Args:
        row, column, normal: (3,) unit vectors in LPS: along a row (columns' index), down a column
            (rows' index), and across the slices towards the head (or left, or back, whichever is
            nearest).
        along: (n,) position of each slice along the normal, mm.
        across: (n, 2) position of each slice's first voxel along `row` and `column`, mm.
    """

    row: Floats
    column: Floats
    normal: Floats
    along: Floats
    across: Floats


def stack_of(orientation: Floats, positions: Floats) -> Stack:
    """Project slice positions on the axes of their common orientation.

    Args:
        orientation: (6,) ImageOrientationPatient.
        positions: (n, 3) ImagePositionPatient, mm.
    """
    row = orientation[:3] / np.linalg.norm(orientation[:3])
    column = orientation[3:] - row * (orientation[3:] @ row)
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    if normal[np.abs(normal).argmax()] < 0:
        normal = -normal
    across = np.stack([positions @ row, positions @ column], axis=1)
    return Stack(row, column, normal, positions @ normal, across)


def theil_sen(index: Floats, values: Floats) -> tuple[float, float]:
    """Slope and intercept of a line, as medians: one wrong point does not move it.

    Args:
        index, values: (n,), n >= 2.

    Source: Theil 1950; Sen, J. Am. Stat. Assoc. 63 (1968) 1379.
    """
    if len(index) > _MAX_FITTED:
        keep = np.linspace(0, len(index) - 1, _MAX_FITTED).round().astype(int)
        index, values = index[keep], values[keep]
    first, second = np.triu_indices(len(index), k=1)
    slopes = (values[second] - values[first]) / (index[second] - index[first])
    slope = float(np.median(slopes))
    return slope, float(np.median(values - slope * index))


def typical_gap(along: Floats) -> float:
    """Median distance between neighbours of sorted positions, 0 where there are fewer than two."""
    return float(np.median(np.diff(along))) if len(along) > 1 else 0.0


def slices_in_gap(gap: float, spacing: float, tolerance: float) -> int | None:
    """How many slice steps a gap spans; None where it is not a multiple of the spacing.

    Args:
        gap, spacing, tolerance: mm; the tolerance is for one step.
    """
    steps = round(gap / spacing)
    if steps < 1 or abs(gap - steps * spacing) > tolerance * max(1, min(steps, 10)):
        return None
    return steps


def tilt_degrees(stack: Stack) -> float:
    """Angle between the slices' normal and the line on which their first voxels lie."""
    if len(stack.along) < 2 or np.ptp(stack.along) == 0:
        return 0.0
    drift = [theil_sen(stack.along, stack.across[:, axis])[0] for axis in range(2)]
    return float(np.degrees(np.arctan(np.hypot(drift[0], drift[1]))))


def obliquity_degrees(normal: Floats) -> float:
    """Angle between the slices' normal and the body's long axis (z)."""
    return float(np.degrees(np.arccos(min(1.0, abs(float(normal[2]))))))


def affine_of(stack: Stack, pixel_spacing: tuple[float, ...], spacing: float) -> Floats:
    """The (4, 4) affine from the index (slice, row, column) to LPS mm.

    The slices are taken to lie at equal steps along the normal; position and spacing come from a
    line fitted through all slices, so that no single one decides.

    Args:
        stack: of slices sorted along the normal, without gaps.
        pixel_spacing: (between rows, between columns), mm.
        spacing: between slices, mm.

    Source: DICOM PS3.3, section C.7.6.2.1.1.
    """
    n = len(stack.along)
    start = float(np.median(stack.along - spacing * np.arange(n)))
    middle = np.median(stack.across, axis=0)
    affine = np.eye(4)
    affine[:3, 0] = stack.normal * spacing
    affine[:3, 1] = stack.column * pixel_spacing[0]
    affine[:3, 2] = stack.row * pixel_spacing[1]
    affine[:3, 3] = stack.normal * start + stack.row * middle[0] + stack.column * middle[1]
    return affine
