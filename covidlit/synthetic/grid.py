"""The voxels of a synthetic scan and their place in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from covidlit.synthetic.cases import Case

F32 = NDArray[np.float32]

LOWEST_SLICE_MM = -178.0
"""Where the scan starts, from the carina: below the lungs, in the upper abdomen."""

LENGTH_MM = 300.0
"""How far it reaches up from there."""


@dataclass(frozen=True)
class Grid:
    """A regular grid in patient space (LPS), axes (z, y, x), z towards the head.

    Args:
        shape: voxels (z, y, x).
        spacing: mm (z, y, x).
        origin: centre of voxel (0, 0, 0) in mm, (z, y, x); the patient's carina is near 0, 0, 0.
        table_mm: what the scanner's z is ahead of the patient's.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    table_mm: float = 0.0

    @cached_property
    def axes(self) -> tuple[F32, F32, F32]:
        """Coordinates of the voxel centres along z, y and x in mm, shaped to broadcast."""
        z, y, x = (
            (start + step * np.arange(count)).astype(np.float32)
            for start, step, count in zip(self.origin, self.spacing, self.shape, strict=True)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]

    @cached_property
    def flat_axes(self) -> tuple[F32, F32, F32]:
        """The same coordinates as three vectors."""
        z, y, x = self.axes
        return z[:, 0, 0], y[0, :, 0], x[0, 0, :]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def affine(self) -> NDArray[np.float64]:
        """Index (z, y, x, 1) to the scanner's LPS millimetres (x, y, z, 1), (4, 4)."""
        affine = np.eye(4)
        for index, world in enumerate((2, 1, 0)):
            affine[index, index] = 0.0
            affine[world, index] = self.spacing[index]
            affine[world, 3] = self.origin[index]
        affine[2, 3] += self.table_mm
        return affine

    def slab(self, first: int, last: int) -> Grid:
        """The slices `first` to `last` (exclusive) as a grid of their own."""
        start = self.origin[0] + first * self.spacing[0]
        shape = (last - first, *self.shape[1:])
        return Grid(shape, self.spacing, (start, *self.origin[1:]), self.table_mm)

    def box_grid(self, box: tuple[slice, slice, slice]) -> Grid:
        """The part of the grid in a box as a grid of its own."""
        starts = [
            s + part.start * d for s, part, d in zip(self.origin, box, self.spacing, strict=True)
        ]
        sizes = [part.stop - part.start for part in box]
        return Grid(tuple(sizes), self.spacing, tuple(starts), self.table_mm)

    def box(
        self, lower: NDArray[np.floating], upper: NDArray[np.floating]
    ) -> tuple[slice, slice, slice]:
        """The voxels whose centres lie between two corners (z, y, x) in mm; may be empty."""
        spacing, origin = np.array(self.spacing), np.array(self.origin)
        begin = np.maximum(np.ceil((np.asarray(lower) - origin) / spacing), 0).astype(int)
        end = np.floor((np.asarray(upper) - origin) / spacing).astype(int) + 1
        end = np.maximum(np.minimum(end, self.shape), begin)
        z, y, x = (slice(int(a), int(b)) for a, b in zip(begin, end, strict=True))
        return z, y, x


def grid_of(case: Case, matrix: int, thickness_mm: float | None) -> Grid:
    """The grid a case is scanned on.

    Args:
        case: gives field of view, position on the table, and the thickness where none is given.
        matrix: rows and columns.
        thickness_mm: of the slices, which touch; None for the scanner's own.
    """
    thickness = case.thickness_mm if thickness_mm is None else float(thickness_mm)
    pixel = round(case.field_of_view_mm / matrix, 6)
    rng = case.generator("position")
    half = pixel * (matrix - 1) / 2
    y, x = np.round(rng.normal(0, (4.0, 5.0)) - half, 3)
    low = round(LOWEST_SLICE_MM + float(rng.uniform(-8, 4)), 1)
    count = max(1, int(np.ceil((LENGTH_MM + float(rng.uniform(-6, 10))) / thickness)))
    table = round(float(rng.uniform(-1400, -200)), 1)
    origin = (low, float(y), float(x))
    return Grid((count, matrix, matrix), (thickness, pixel, pixel), origin, table)
