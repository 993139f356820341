"""The ROC curve and its confidence band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.proportions import effective_size, wilson

BAND_METHOD = (
    "pointwise, the envelope of each threshold's joint confidence rectangle, made of {interval} "
    "intervals of sensitivity and specificity"
)


@dataclass(frozen=True)
class RocCurve:
    """An empirical ROC curve with a band.

    Attributes:
        fpr: false positive rates, shape (t,), rising from 0 to 1.
        tpr: true positive rates at the same thresholds, shape (t,).
        threshold: a scan is positive if its score >= threshold; the first is +infinity.
        grid: false positive rates at which the band is given, shape (g,).
        low: lower edge of the band at `grid`.
        high: upper edge of the band at `grid`.
        method: how the band was made.
    """

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    threshold: NDArray[np.float64]
    grid: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    method: str


def roc_points(
    target: NDArray[np.generic], score: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """False positives, true positives and thresholds, one per distinct score plus +infinity.

    Args:
        target: shape (n,), 1 for positive.
        score: shape (n,).
    """
    order = np.argsort(-np.asarray(score), kind="stable")
    ordered = np.asarray(score, dtype=np.float64)[order]
    positive = np.asarray(target).astype(bool)[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    true, false = np.cumsum(positive)[last], np.cumsum(~positive)[last]
    return np.r_[0, false], np.r_[0, true], np.r_[np.inf, ordered[last]]


def roc_curve(
    target: NDArray[np.generic],
    score: NDArray[np.floating],
    sampling: Sampling,
    n_grid: int = 201,
) -> RocCurve:
    """ROC curve with a pointwise band.

    At each threshold the false and the true positive rate come from different scans, so two
    intervals at the level sqrt(confidence) make a rectangle that covers the true point with the
    wanted confidence (Pepe 2003, The Statistical Evaluation of Medical Tests, section 2.2). The
    band is the envelope of these rectangles. Wilson intervals keep it open at the corners, where
    a bootstrap band would close. With several scans of a patient, the two intervals come from the
    patient bootstrap; with several repeats of a cross-validation and one scan of each patient, they
    are Wilson's with the `effective_size`, at up to 401 of the thresholds.

    Raises:
        ValueError: only one class is present.
    """
    positive = np.asarray(target).astype(bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise ValueError("a ROC curve needs both classes")
    false, true, threshold = roc_points(positive, score)
    level = float(np.sqrt(sampling.confidence))
    fpr_low, fpr_high = wilson(false, n, level)
    tpr_low, tpr_high = wilson(true, m, level)
    name = "Wilson"
    if sampling.repeated and not sampling.several_scans:
        name = "Wilson (by patient)"
        some = np.unique(np.linspace(0, len(threshold) - 1, 401).round().astype(int))
        fpr_low, fpr_high = _wilson_by_patient(~positive, score, threshold[some], sampling, level)
        tpr_low, tpr_high = _wilson_by_patient(positive, score, threshold[some], sampling, level)
    elif sampling.clustered:
        name = "patient-bootstrap"
        low, high = _bootstrap_rates(~positive, score, threshold, sampling, level)
        fpr_low, fpr_high = np.minimum(low, fpr_low), np.maximum(high, fpr_high)
        low, high = _bootstrap_rates(positive, score, threshold, sampling, level)
        tpr_low, tpr_high = np.minimum(low, tpr_low), np.maximum(high, tpr_high)
    grid = np.linspace(0.0, 1.0, n_grid)
    return RocCurve(
        fpr=false / n,
        tpr=true / m,
        threshold=threshold,
        grid=grid,
        low=_lower_edge(grid, fpr_high, tpr_low),
        high=_upper_edge(grid, fpr_low, tpr_high),
        method=BAND_METHOD.format(interval=name),
    )


def _upper_edge(
    grid: NDArray[np.float64], fpr_low: NDArray[np.float64], tpr_high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Highest tpr_high among the rectangles that begin at or left of each grid point."""
    order = np.argsort(fpr_low, kind="stable")
    best = np.maximum.accumulate(tpr_high[order])
    position = np.searchsorted(fpr_low[order], grid + 1e-12, side="right") - 1
    return np.where(position >= 0, best[np.maximum(position, 0)], 0.0)


def _lower_edge(
    grid: NDArray[np.float64], fpr_high: NDArray[np.float64], tpr_low: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Lowest tpr_low among the rectangles that end at or right of each grid point."""
    order = np.argsort(fpr_high, kind="stable")
    worst = np.minimum.accumulate(tpr_low[order][::-1])[::-1]
    position = np.searchsorted(fpr_high[order], grid - 1e-12, side="left")
    return worst[np.minimum(position, len(worst) - 1)]


def _wilson_by_patient(
    group: NDArray[np.bool_],
    score: NDArray[np.floating],
    threshold: NDArray[np.float64],
    sampling: Sampling,
    level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of the share of `group` at or above each threshold, shape (t,)."""
    above = (np.asarray(score)[:, None] >= threshold[None, :]) & group[:, None]
    size = effective_size(above, group, sampling)
    return wilson(above.sum(axis=0) / group.sum() * size, size, level)


def _bootstrap_rates(
    group: NDArray[np.bool_],
    score: NDArray[np.floating],
    threshold: NDArray[np.float64],
    sampling: Sampling,
    level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile intervals of the share of `group` at or above each threshold, shape (t,)."""
    above = ((np.asarray(score)[:, None] >= threshold[None, :]) & group[:, None]).astype(float)
    size = group.astype(float)

    def rate(weights: Weights) -> NDArray[np.float64]:
        return (weights @ above) / (weights @ size)[:, None]

    tail = (1 - level) / 2
    low, high = np.nanquantile(sampling.distribution(rate), [tail, 1 - tail], axis=0)
    return low, high
