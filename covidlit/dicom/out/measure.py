"""How much of each label there is and where its centre lies, in patient millimetres."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_FEW = 8
"""Labels up to which counting each by itself is faster."""


class Placed(NamedTuple):
    """One label of a volume.

    Args:
        voxels: how many it has.
        centroid: (3,) mean of their centres, LPS mm; NaN where it has none.
    """

    voxels: int
    centroid: NDArray[np.float64]


class Tally:
    """Counts voxels and adds up their places, slice by slice, for every label at once."""

    def __init__(self, most: int) -> None:
        """`most` is the largest label."""
        self._voxels = np.zeros(most + 1, np.int64)
        self._sums = np.zeros((most + 1, 3))

    def add(
        self,
        plane: NDArray[np.integer[Any]],
        first: NDArray[np.float64],
        down: NDArray[np.float64],
        right: NDArray[np.float64],
    ) -> None:
        """Add the labels of one slice.

        Args:
            plane: (rows, columns), whole numbers.
            first, down, right: (3,) mm: centre of the first pixel, step to the next row, column.
        """
        rows, columns = np.nonzero(plane)
        values, most = plane[rows, columns], len(self._voxels)
        counts = np.bincount(values, minlength=most)
        of_rows = np.bincount(values, weights=rows, minlength=most)
        of_columns = np.bincount(values, weights=columns, minlength=most)
        self._voxels += counts
        self._sums += (
            counts[:, None] * first + of_rows[:, None] * down + of_columns[:, None] * right
        )

    def add_mask(
        self,
        value: int,
        mask: NDArray[np.uint8],
        first: NDArray[np.float64],
        down: NDArray[np.float64],
        right: NDArray[np.float64],
    ) -> None:
        """Add one label of one slice, which is several times as fast; see `add`.

        Args:
            value: the label.
            mask: (rows, columns), 0 or 1.
            first, down, right: as in `add`.
        """
        by_row = mask.sum(axis=1, dtype=np.int64)
        by_column = mask.sum(axis=0, dtype=np.int64)
        count = int(by_row.sum())
        self._voxels[value] += count
        self._sums[value] += (
            count * first
            + (by_row @ np.arange(len(by_row))) * down
            + (by_column @ np.arange(len(by_column))) * right
        )

    def placed(self) -> dict[int, Placed]:
        """Every label from 1 on."""
        with np.errstate(invalid="ignore"):
            centroids = self._sums / self._voxels[:, None]
        return {
            value: Placed(int(self._voxels[value]), centroids[value])
            for value in range(1, len(self._voxels))
        }


def placed_labels(
    labels: NDArray[np.integer[Any]], affine: NDArray[np.float64], most: int
) -> dict[int, Placed]:
    """Count and place every label of a volume.

    Args:
        labels: (z, y, x), whole numbers from 0 to `most`.
        affine: (4, 4), index (z, y, x) to LPS mm.
        most: the largest label to expect.
    """
    tally = Tally(most)
    for z, plane in enumerate(labels):
        if not plane.any():
            continue
        first, down, right = affine[:3, 3] + z * affine[:3, 0], affine[:3, 1], affine[:3, 2]
        if most <= _FEW:
            for value in range(1, most + 1):
                tally.add_mask(value, (plane == value).view(np.uint8), first, down, right)
        else:
            tally.add(plane, first, down, right)
    return tally.placed()
