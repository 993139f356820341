"""First-order statistics and the histogram of the intensities in a region.

Definitions and names follow the Image Biomarker Standardisation Initiative (IBSI; Zwanenburg et
al., Radiology 2020;295:328), sections "intensity-based statistical features" and "intensity
histogram features". Energy, root mean square and the coefficients of variation are left out: they
depend on where the scale's zero is, which for HU is water.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HISTOGRAM_EDGES = tuple(range(-950, 151, 50))
"""HU between the bins; the first bin holds what is below, the last what is from 150 HU on."""

FIRST_ORDER = (
    "mean", "variance", "skewness", "excess_kurtosis", "median", "minimum", "p10", "p90", "maximum",
    "interquartile_range", "range", "mean_absolute_deviation", "robust_mean_absolute_deviation",
    "median_absolute_deviation",
)  # fmt: skip


def first_order(values: NDArray[np.generic]) -> dict[str, float]:
    """First-order statistics of the intensities in a region.

    Args:
        values: (n,) intensities, in any order.

    Returns:
        By the names of `FIRST_ORDER`. Variance and deviations are the region's own (divided by n);
        percentiles are interpolated. NaN without values; skewness and kurtosis also where all
        values are equal.
    """
    if not len(values):
        return dict.fromkeys(FIRST_ORDER, float("nan"))
    x = np.asarray(values, dtype=np.float64)
    mean, variance = x.mean(), x.var()
    centred = x - mean
    spread = variance > 1e-12
    p10, p25, p50, p75, p90 = np.percentile(x, [10, 25, 50, 75, 90])
    robust = x[(x >= p10) & (x <= p90)]
    found = (
        mean,
        variance,
        np.mean(centred**3) / variance**1.5 if spread else np.nan,
        np.mean(centred**4) / variance**2 - 3 if spread else np.nan,
        p50,
        x.min(),
        p10,
        p90,
        x.max(),
        p75 - p25,
        np.ptp(x),
        np.abs(centred).mean(),
        np.abs(robust - robust.mean()).mean(),
        np.abs(x - p50).mean(),
    )
    return {name: float(value) for name, value in zip(FIRST_ORDER, found, strict=True)}


def histogram(hu: NDArray[np.generic]) -> NDArray[np.float64]:
    """Share of the voxels in each bin of 50 HU, the outer bins open.

    Args:
        hu: (n,) HU.

    Returns:
        (len(HISTOGRAM_EDGES) + 1,) shares that sum to 1; NaN without values.
    """
    if not len(hu):
        return np.full(len(HISTOGRAM_EDGES) + 1, np.nan)
    bins = np.searchsorted(HISTOGRAM_EDGES, hu, side="right")
    return np.bincount(bins, minlength=len(HISTOGRAM_EDGES) + 1) / len(hu)


def entropy_and_uniformity(shares: NDArray[np.floating]) -> tuple[float, float]:
    """Entropy (bits) and uniformity of a histogram.

    Args:
        shares: of the bins, summing to 1.
    """
    some = shares[shares != 0]
    return float(-(some * np.log2(some)).sum()), float((some**2).sum())
