"""Area under the ROC curve with DeLong's variance, and intervals that survive the boundary."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling, weighted_auc
from covidlit.evaluation.estimate import Estimate

AucInterval = Literal["delong", "delong-logit"]


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


def auc_estimate(
    target: NDArray[np.generic],
    score: NDArray[np.floating],
    confidence: float = 0.95,
    interval: AucInterval = "delong",
) -> Estimate:
    """AUC of one score, with an interval; undefined for a single class or a score that is NaN.

    "delong" is the Wald interval cut to [0, 1]; "delong-logit" works on the logit scale and so
    stays inside by itself. Where DeLong's variance is zero or does not exist (perfect separation,
    all scores equal, one scan in a class), Newcombe's score interval is given instead, because a
    zero-width interval would claim certainty.
    """
    positive = np.asarray(target).astype(bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        absent = "positive" if m == 0 else "negative"
        return Estimate.undefined(f"no {absent} scan", m + n)
    if missing := int(np.isnan(score).sum()):
        return Estimate.undefined(f"{missing} of {m + n} scores are not numbers", m + n)
    auc, covariance = delong_covariance(positive, score)
    value, variance = float(auc[0]), float(covariance[0, 0])
    if not np.isfinite(variance) or variance < 1e-12:
        low, high = newcombe_interval(value, m, n, confidence)
        why = "variance is 0" if min(m, n) > 1 else "needs two scans of each class"
        return Estimate(value, low, high, m + n, f"Newcombe score interval (DeLong {why})")
    z = stats.norm.ppf(0.5 + confidence / 2)
    if interval == "delong-logit" and 0 < value < 1:
        centre = np.log(value / (1 - value))
        half = z * np.sqrt(variance) / (value * (1 - value))
        low, high = 1 / (1 + np.exp(-(centre - half))), 1 / (1 + np.exp(-(centre + half)))
        return Estimate(value, float(low), float(high), m + n, "DeLong, logit-transformed")
    half = z * float(np.sqrt(variance))
    low, high = max(0.0, float(value - half)), min(1.0, float(value + half))
    return Estimate(value, low, high, m + n, "DeLong")


def sampled_auc(
    target: NDArray[np.generic], score: NDArray[np.floating], sampling: Sampling
) -> Estimate:
    """AUC with DeLong's interval, or a patient bootstrap where a patient has several scans.

    Where the bootstrap has no width, Newcombe's interval with the number of patients is given;
    scans of one patient alone give none.
    """
    estimate = auc_estimate(target, score, sampling.confidence)
    if estimate.value is None or not sampling.clustered:
        return estimate
    if sampling.single_patient:
        return Estimate(estimate.value, None, None, estimate.n, "none", ONE_PATIENT)
    replicates = sampling.distribution(lambda weights: weighted_auc(target, score, weights))
    interval = sampling.percentile(replicates)
    if interval is not None:
        return Estimate(estimate.value, *interval, estimate.n, "patient bootstrap, percentile")
    positive = np.asarray(target).astype(bool)
    sizes = sampling.count_patients(positive), sampling.count_patients(~positive)
    interval = newcombe_interval(estimate.value, *sizes, sampling.confidence)
    method = "Newcombe score interval with n = patients"
    return Estimate(estimate.value, *interval, estimate.n, method)


def newcombe_interval(
    auc: float, n_positive: int, n_negative: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Score-type interval for an AUC from the sample sizes alone; never of zero width.

    It inverts the Hanley-McNeil variance with both sample sizes replaced by their mean, as Wilson's
    interval inverts the binomial one.

    Source: Newcombe, Statistics in Medicine 2006;25:559, method 5.
    """
    z = stats.norm.ppf(0.5 + confidence / 2)
    pairs, extra = n_positive * n_negative, (n_positive + n_negative) / 2 - 1

    def scaled_variance(theta: float) -> float:
        return z**2 * (1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / pairs

    def perfect(theta: float) -> float:  # the factor (1 - theta) is divided out: it is a root
        return (1 - theta) - theta * scaled_variance(theta)

    def excess(theta: float) -> float:
        return (theta - auc) ** 2 - theta * (1 - theta) * scaled_variance(theta)

    if auc >= 1:
        return float(optimize.brentq(perfect, 0.0, 1.0)), 1.0
    if auc <= 0:
        return 0.0, 1.0 - float(optimize.brentq(perfect, 0.0, 1.0))
    return float(optimize.brentq(excess, 0.0, auc)), float(optimize.brentq(excess, auc, 1.0))
