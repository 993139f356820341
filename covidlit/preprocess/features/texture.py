"""Texture of a region: grey-level co-occurrence in 3D.

Definitions and names follow the Image Biomarker Standardisation Initiative (IBSI; Zwanenburg et
al., Radiology 2020;295:328), section "grey level co-occurrence based features" after Haralick et
al., IEEE Trans. Syst. Man Cybern. 1973;3:610. The matrix is symmetric, of distance 1, merged over
the 13 directions of a volume (aggregation "3D, merged", IAZD). IBSI's dissimilarity, sum average
and cluster tendency are left out: they equal the difference average, twice the joint average and
the sum variance.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST_HU, HIGHEST_HU, BIN_HU = -1000, 400, 50
N_LEVELS = (HIGHEST_HU - LOWEST_HU) // BIN_HU

DIRECTIONS = tuple(step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0))
"""One of each pair of opposite neighbours, (z, y, x)."""

COOCCURRENCE = (
    "joint_maximum", "joint_average", "joint_variance", "joint_entropy", "difference_average",
    "difference_variance", "difference_entropy", "sum_variance", "sum_entropy",
    "angular_second_moment", "contrast", "inverse_difference", "normalised_inverse_difference",
    "inverse_difference_moment", "normalised_inverse_difference_moment", "inverse_variance",
    "correlation", "autocorrelation", "cluster_shade", "cluster_prominence",
    "information_correlation_1", "information_correlation_2",
)  # fmt: skip


def grey_levels(hu: NDArray[np.int16], region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey levels 1 to 28: bins of 50 HU from -1000 to 400 (IBSI: fixed bin size), clipped.

    Args:
        hu: int16 HU (z, y, x).
        region: bool (z, y, x).

    Returns:
        uint8 (z, y, x); 0 outside the region.
    """
    clipped = np.clip(hu, LOWEST_HU, HIGHEST_HU - 1).astype(np.int32)
    levels = (clipped - LOWEST_HU) // BIN_HU + 1
    return np.where(region, levels, 0).astype(np.uint8)


def cooccurrence_matrix(levels: NDArray[np.integer], n_levels: int) -> NDArray[np.float64]:
    """How often two grey levels are neighbours, over all 13 directions and both ways.

    Args:
        levels: (z, y, x), 1 to n_levels in the region and 0 outside it.
        n_levels: number of grey levels.

    Returns:
        (n_levels, n_levels), symmetric, summing to 1; zeros where the region has no neighbours.
    """
    codes = np.asarray(levels, dtype=np.int32)
    size = n_levels + 1
    counts = np.zeros(size * size)
    for step in DIRECTIONS:
        reach = list(zip(step, codes.shape, strict=True))
        first = codes[tuple(slice(max(0, -s), min(n, n - s)) for s, n in reach)]
        second = codes[tuple(slice(max(0, s), min(n, n + s)) for s, n in reach)]
        counts += np.bincount((first * size + second).ravel(), minlength=size * size)
    matrix = counts.reshape(size, size)[1:, 1:]
    matrix = matrix + matrix.T
    return matrix / max(matrix.sum(), 1.0)


def cooccurrence_features(p: NDArray[np.floating]) -> dict[str, float]:
    """Haralick's features of a co-occurrence matrix.

    Args:
        p: (n_levels, n_levels), symmetric, summing to 1.

    Returns:
        By the names of `COOCCURRENCE`; NaN where the matrix is empty, the correlations also where
        there is one grey level only.
    """
    if not p.any():
        return dict.fromkeys(COOCCURRENCE, float("nan"))
    n = len(p)
    level = np.arange(1, n + 1)
    i, j = level[:, None], level[None, :]
    gap = np.abs(i - j)
    by_gap = np.bincount(gap.ravel(), weights=p.ravel(), minlength=n)
    by_sum = np.bincount((i + j).ravel(), weights=p.ravel(), minlength=2 * n + 1)
    steps = np.arange(n)
    marginal = p.sum(axis=1)
    mean = float((level * marginal).sum())
    variance = float(((level - mean) ** 2 * marginal).sum())
    gap_mean = float((steps * by_gap).sum())
    around = np.arange(2 * n + 1) - 2 * mean
    h_joint, h_level = _entropy(p), _entropy(marginal)
    independent = np.outer(marginal, marginal)
    inside = independent > 0
    h_mixed = float(-(p[inside] * np.log2(independent[inside])).sum())
    h_independent = _entropy(independent)
    several = variance > 1e-12
    found = (
        p.max(),
        mean,
        variance,
        h_joint,
        gap_mean,
        ((steps - gap_mean) ** 2 * by_gap).sum(),
        _entropy(by_gap),
        (around**2 * by_sum).sum(),
        _entropy(by_sum),
        (p**2).sum(),
        (steps**2 * by_gap).sum(),
        (by_gap / (1 + steps)).sum(),
        (by_gap / (1 + steps / n)).sum(),
        (by_gap / (1 + steps**2)).sum(),
        (by_gap / (1 + (steps / n) ** 2)).sum(),
        (by_gap[1:] / steps[1:] ** 2).sum(),
        ((i * j * p).sum() - mean**2) / variance if several else np.nan,
        (i * j * p).sum(),
        (around**3 * by_sum).sum(),
        (around**4 * by_sum).sum(),
        (h_joint - h_mixed) / h_level if several else np.nan,
        np.sqrt(max(0.0, 1 - np.exp(-2 * (h_independent - h_joint)))) if several else np.nan,
    )
    return {name: float(value) for name, value in zip(COOCCURRENCE, found, strict=True)}


def _entropy(shares: NDArray[Any]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())
