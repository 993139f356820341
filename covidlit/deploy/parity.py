"""Whether two engines give the same scores, and whether the scans compared can show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SPREAD = 10.0
"""The scores compared must lie this many tolerances apart. Scores that are all alike stay alike
whatever a network does to the image."""


def largest_difference(first: Sequence[Any], second: Sequence[Any]) -> float:
    """The largest absolute difference of two engines' scores; infinite where one is not finite.

    Args:
        first, second: n scores, or n lists of one score per class, of the same scans in order.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{a.shape} and {b.shape} are not scores of the same scans")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.abs(a - b).max())


def spread_of(scores: Sequence[Any]) -> float:
    """How far apart the scores of the scans lie: highest less lowest, of the class that has most.

    Args:
        scores: n scores, or n lists of one score per class.
    """
    return float(np.ptp(np.asarray(scores, dtype=np.float64), axis=0).max())
