"""A heatmap with its place in the patient, from which it is put on any grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import CovidlitError
from covidlit.models.voxel_grid import VoxelGrid


@dataclass(frozen=True)
class Heatmap:
    """Heat of one scan at the resolution of the layer that it was made from; never normalised.

    Args:
        values: float32 (z, y, x), finite and not negative.
        grid: where its voxels lie in the network's input.
        input_shape: of the network's input, (z, y, x): what the network saw.
        affine: (4, 4), index (z, y, x, 1) of the input to LPS millimetres (x, y, z, 1), as in
            `covidlit.preprocess.Prepared`.
        layer, method: what it was made with.
        score: of the scan, from the same pass through the network; None where it is not known.

    Raises:
        CovidlitError: an array of another type or shape, or values that are no heat.
    """

    values: NDArray[np.float32]
    grid: VoxelGrid
    input_shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    layer: str
    method: str
    score: float | None = None

    def __post_init__(self) -> None:
        if self.values.dtype != np.float32 or self.values.ndim != 3 or 0 in self.values.shape:
            raise CovidlitError(
                f"a heatmap needs a non-empty float32 array (z, y, x), got {self.values.dtype} "
                f"{self.values.shape}."
            )
        if not np.isfinite(self.values).all() or self.values.min() < 0:
            raise CovidlitError("a heatmap needs finite values that are not negative.")

    @property
    def maximum(self) -> float:
        """The largest heat."""
        return float(self.values.max())

    @property
    def peak_mm(self) -> tuple[float, float, float]:
        """Where the heat is largest, LPS millimetres (x, y, z).

        Linear interpolation is largest at a voxel of the map. A map's last voxel may lie beyond the
        input (poolings round up): then the nearest place inside. Of equal maxima the mean place is
        taken if it is as hot, else the first.
        """
        hottest = np.argwhere(self.values == self.values.max())
        middle = np.rint(hottest.mean(axis=0)).astype(int)
        index = middle if self.values[tuple(middle)] == self.values.max() else hottest[0]
        inside = np.asarray(self.grid.first) + np.asarray(self.grid.step) * index
        inside = np.clip(inside, 0, np.asarray(self.input_shape) - 1)
        x, y, z = (self.affine @ [*inside, 1.0])[:3]
        return float(x), float(y), float(z)

    def on(self, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> NDArray[np.float32]:
        """The heat on another grid along the same axes, by linear interpolation.

        Args:
            shape: of the grid, (z, y, x).
            affine: (4, 4), its index to LPS mm, such as `Scan.affine`.

        Returns:
            float32 (z, y, x); zero outside of what the network saw.

        Raises:
            CovidlitError: the grid's axes are not those of the input.
        """
        plane_of = self.planes_on(shape, affine)
        return np.stack([plane_of(k) for k in range(shape[0])])

    def planes_on(
        self, shape: tuple[int, int, int], affine: NDArray[np.float64]
    ) -> Callable[[int], NDArray[np.float32]]:
        """As `on`, plane by plane along z, without the memory of a whole scan.

        Returns:
            What gives the plane, (y, x), of an index along z.
        """
        weights = []
        to_input = np.linalg.inv(self.affine) @ affine
        steps, offset = to_input[:3, :3], to_input[:3, 3]
        if np.abs(steps - np.diag(np.diag(steps))).max() > 1e-3 * np.abs(steps).max():
            raise CovidlitError(
                "the heatmap and the grid that it is asked for have different axes.",
                fix="give the affine of the scan that the network saw.",
            )
        for axis, length in enumerate(shape):
            seen = offset[axis] + steps[axis, axis] * np.arange(length)
            at = (seen - self.grid.first[axis]) / self.grid.step[axis]
            rows = _linear(at, self.values.shape[axis])
            rows[(seen < -0.5) | (seen > self.input_shape[axis] - 0.5)] = 0
            weights.append(rows)
        heat = np.einsum("zyx,lx->zyl", self.values, weights[2], optimize=True)
        heat = np.einsum("zyl,ry->zrl", heat, weights[1], optimize=True)
        along_z = weights[0]

        def plane_of(index: int) -> NDArray[np.float32]:
            plane = np.zeros(shape[1:], np.float32)
            for k in np.flatnonzero(along_z[index]):  # two at most
                plane += along_z[index, k] * heat[k]
            return plane

        return plane_of

    def on_input(self) -> NDArray[np.float32]:
        """The heat on the grid of the network's input."""
        return self.on(self.input_shape, self.affine)


def _linear(positions: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """(len(positions), length) weights of linear interpolation; the ends go on as they are."""
    at = np.clip(positions, 0, length - 1)
    low = np.minimum(np.floor(at).astype(int), max(length - 2, 0))
    weights = np.zeros((len(at), length), np.float32)
    rows = np.arange(len(at))
    weights[rows, low] = 1 - (at - low)
    if length > 1:
        weights[rows, low + 1] = at - low
    return weights
