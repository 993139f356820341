"""DeLong's covariance of AUCs, and the placements that it is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def delong_covariance(
    target: NDArray[np.generic], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUCs of one or more scores of the same scans and their covariance matrix.

    Args:
        target: shape (n,), 1 for positive and 0 for negative scans.
        scores: shape (k, n) or (n,), one row per score; higher means more likely positive.

    Returns:
        AUCs, shape (k,), and covariance, shape (k, k); the covariance is NaN where a class has
        fewer than two scans.

    Raises:
        ValueError: the shapes do not fit, or only one class is present.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837, by the midranks of
    Sun and Xu, IEEE Signal Processing Letters 2014;21:1389, in O(k n log n).
    """
    scores = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    positive = np.asarray(target).astype(bool)
    if scores.shape[1:] != positive.shape:
        raise ValueError(f"scores {scores.shape} do not fit the targets {positive.shape}")
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise ValueError("an AUC needs both classes")
    above, below = placements(positive, scores)
    auc = above.mean(axis=1)
    if m < 2 or n < 2:
        return auc, np.full((len(auc), len(auc)), np.nan)
    covariance = np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n
    return auc, covariance


def placements(
    positive: NDArray[np.bool_], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each scan stands among those of the other class; ties count half.

    Args:
        positive: shape (n,), with both classes.
        scores: shape (k, n), one row per score.

    Returns:
        For each positive scan the share of negative scans below it, shape (k, positives); for each
        negative scan the share of positive scans above it, shape (k, negatives). The mean of
        either is the AUC.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    rank_all = stats.rankdata(scores, axis=1)
    above = (rank_all[:, positive] - stats.rankdata(scores[:, positive], axis=1)) / n
    below = 1.0 - (rank_all[:, ~positive] - stats.rankdata(scores[:, ~positive], axis=1)) / m
    return above, below
