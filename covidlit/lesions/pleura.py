"""Distance from lesions to the pleura, taken as the border of the lung fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.lesions.distance import distance_within
from covidlit.lesions.volume import Crop, grown, inside, widened

COARSE_MM = 3.0
"""Spacing of the grid on which the distance of every voxel is estimated first."""

EXACT_UP_TO_MM = 6.0
"""Up to here the distance is that of all voxels of a lesion, beyond of its `CANDIDATES`."""

CANDIDATES = 2


class Pleura:
    """The border of the lung fields, to measure distances to.

    Args:
        classes: uint8 (z, y, x), 0 outside the lung fields.
        spacing: in mm, (z, y, x).
    """

    def __init__(self, classes: NDArray[Any], spacing: tuple[float, float, float]) -> None:
        self.classes = classes
        self.spacing = spacing
        self.steps = np.array([max(1, round(COARSE_MM / step)) for step in spacing])
        coarse = classes[tuple(slice(None, None, int(step)) for step in self.steps)] != 0
        apart = tuple(float(step) for step in self.steps * np.array(spacing))
        # Every voxel of the coarse grid is one of the fine grid: its distance is an upper bound.
        self.coarse = None if coarse.all() else distance_within(coarse, apart)

    def distance(self, crop: Crop, ends: NDArray[np.intp]) -> float | None:
        """The shortest distance from a lesion's surface to the outside of the lungs, mm.

        Between the voxels as boxes, so 0 where the lesion touches the pleura. Only voxels are
        measured to: where the volume ends in the lung there is no pleura. Beyond `EXACT_UP_TO_MM`
        it is the distance of those `CANDIDATES` of the lesion's outermost voxels that are nearest
        by an estimate on a coarse grid; it can be too long by parts of a millimetre, never short.

        Args:
            crop: the lesion.
            ends: indices in its box, of `row_ends`.

        Returns:
            None where no voxel of the volume lies outside the lungs.
        """
        touching = grown(crop.box, (1, 1, 1), self.classes.shape)
        outside = self.classes[touching] == 0
        if outside.any() and (widened(outside)[inside(crop.box, touching)] & crop.mask).any():
            return 0.0
        if self.coarse is None:
            return self._by_box(crop, None) if (self.classes == 0).any() else None
        points = ends + [part.start for part in crop.box]
        last = np.array(self.coarse.shape) - 1
        at = np.minimum(np.rint(points / self.steps).astype(np.intp), last)
        off = np.linalg.norm((points - at * self.steps) * self.spacing, axis=1)
        bound = self.coarse[tuple(at.T)] + off
        if bound.min() <= EXACT_UP_TO_MM:
            return self._by_box(crop, float(bound.min()))
        estimate = scipy.ndimage.map_coordinates(
            self.coarse, (points / self.steps).T, order=1, mode="nearest"
        )
        nearest = np.argsort(estimate, kind="stable")[:CANDIDATES]
        reach = float(bound.min())
        for point in points[nearest]:
            reach = min(reach, self._of_voxel(point, reach))
        return reach

    def _by_box(self, crop: Crop, reach: float | None) -> float:
        """The shortest distance of all voxels of a lesion, within an upper bound."""
        shape = self.classes.shape
        by = [n if reach is None else int(np.ceil(reach / step)) + 1
              for n, step in zip(shape, self.spacing, strict=True)]  # fmt: skip
        box = grown(crop.box, (by[0], by[1], by[2]), shape)
        # The distance between boxes is that of centres to what the 26 neighbours make larger.
        outside = widened(self.classes[box] == 0)
        distance = distance_within(~outside, self.spacing)[inside(crop.box, box)]
        return float(distance[crop.mask].min())

    def _of_voxel(self, point: NDArray[np.intp], reach: float) -> float:
        """The distance of one voxel, as a box, to the outside; `reach` where none is nearer."""
        box, squares = [], []
        for at, step, size in zip(point, self.spacing, self.classes.shape, strict=True):
            more = int(reach / step) + 1
            low, high = max(0, int(at) - more), min(size, int(at) + more + 1)
            box.append(slice(low, high))
            gap = np.maximum(np.abs(np.arange(low, high) - at) - 1, 0) * step
            squares.append((gap * gap).astype(np.float32))
        # The square of each row's own offset, and in it the first voxel outside to either side.
        rows = squares[0][:, None] + squares[1]
        z, y = np.nonzero(rows <= reach * reach)
        outside = self.classes[tuple(box)][z, y] == 0
        middle = int(point[2]) - box[2].start
        for side, gaps in (
            (outside[:, middle:], squares[2][middle:]),
            (outside[:, middle::-1], squares[2][middle::-1]),
        ):
            first = side.argmax(axis=1)
            hit = side[np.arange(len(side)), first]
            if hit.any():
                found = rows[z[hit], y[hit]] + gaps[first[hit]]
                reach = min(reach, float(np.sqrt(found.min())))
        return reach
