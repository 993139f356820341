"""Smooth random fields and soft edges: what makes the shapes look like tissue."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from covidlit.synthetic.grid import F32, Grid


def coverage(distance: NDArray[np.floating], width: float | F32) -> F32:
    """How much of a voxel lies inside a surface: 1 within, 0 outside, a ramp of `width` mm."""
    part = np.multiply(distance, np.float32(-1) / width, dtype=np.float32)
    part += np.float32(0.5)
    np.maximum(part, 0, out=part)
    return np.minimum(part, 1, out=part)


def paint(hu: F32, part: F32, value: float | np.float32 | F32) -> None:
    """Fill `part` (0 to 1) of each voxel with `value` HU, in place."""
    change = value - hu
    change *= part
    hu += change


class SmoothNoise:
    """A Gaussian random field in patient space with unit variance, the same for any grid on it.

    Args:
        rng: random stream.
        scale_mm: size of its blobs.
        extent_mm: half-size of the box it lives in, (z, y, x); it repeats outside.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        scale_mm: float,
        extent_mm: tuple[float, float, float] = (220.0, 170.0, 220.0),
    ) -> None:
        self.step = scale_mm / 2
        shape = [max(4, int(np.ceil(2 * half / self.step))) for half in extent_mm]
        field = rng.standard_normal(shape, dtype=np.float32)
        field = scipy.ndimage.gaussian_filter(field, 1.0, mode="wrap", truncate=2.5)
        self.field = (field / field.std()).astype(np.float32)

    def on(self, grid: Grid) -> F32:
        """The field on a grid, linear between its nodes, (z, y, x)."""
        out = self.field
        for axis, centre in enumerate(grid.axes):
            count = out.shape[axis]
            at = np.asarray(centre, float).ravel() / self.step + count / 2
            low = np.floor(at).astype(int)
            part = (at - low).astype(np.float32)
            part = part.reshape([-1 if k == axis else 1 for k in range(3)])
            first = out.take(low % count, axis)
            last = out.take((low + 1) % count, axis)
            last -= first
            last *= part
            first += last
            out = first
        return out
