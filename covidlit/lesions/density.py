"""Density of lesions, and how uneven it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Density:
    """Sums over voxels, which add up over lesions.

    Args:
        n: voxels.
        total: sum of their HU.
        squares: sum of the squares of their HU.
    """

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """Mean density in HU. IBSI: mean (4.1.1 in the manual's order, Q4LE)."""
        return self.total / self.n

    @property
    def sd(self) -> float:
        """Heterogeneity: the standard deviation of the HU, the root of IBSI's variance (ECT3)."""
        return float(np.sqrt(max(0.0, self.squares / self.n - self.mean**2)))

    def __add__(self, other: Density) -> Density:
        return Density(self.n + other.n, self.total + other.total, self.squares + other.squares)


def density_of(values: NDArray[np.int16]) -> Density:
    """The density of voxels with these HU, (n,); whole numbers, so that nothing is rounded."""
    exact = values.astype(np.int64)
    return Density(len(values), float(exact.sum()), float((exact * exact).sum()))
