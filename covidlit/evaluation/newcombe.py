"""Intervals of an AUC from the sample sizes alone, where its sampling variance cannot be seen."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import optimize, stats


def newcombe_interval(
    auc: float, n_positive: int, n_negative: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Score-type interval for an AUC from the sample sizes alone; never of zero width.

    It inverts the Hanley-McNeil variance with both sample sizes replaced by their mean, as Wilson's
    interval inverts the binomial one.

    Source: Newcombe, Statistics in Medicine 2006;25:559, method 5.
    """
    return newcombe_interval_of_mean(auc, [(n_positive, n_negative)], confidence)


def newcombe_interval_of_mean(
    auc: float, sizes: Sequence[tuple[int, int]], confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of `newcombe_interval` for the mean of the AUCs of independent samples.

    Args:
        auc: the mean.
        sizes: numbers of positive and of negative scans (or patients) of each sample.
        confidence: level of the interval.
    """
    z = stats.norm.ppf(0.5 + confidence / 2)

    def scaled_variance(theta: float) -> float:  # without the factor theta (1 - theta)
        parts = [newcombe_variance(theta, m, n, scaled=True) for m, n in sizes]
        return float(z**2 * sum(parts) / len(sizes) ** 2)

    def perfect(theta: float) -> float:  # the factor (1 - theta) is divided out: it is a root
        return (1 - theta) - theta * scaled_variance(theta)

    def excess(theta: float) -> float:
        return (theta - auc) ** 2 - theta * (1 - theta) * scaled_variance(theta)

    if auc >= 1:
        return float(optimize.brentq(perfect, 0.0, 1.0)), 1.0
    if auc <= 0:
        return 0.0, 1.0 - float(optimize.brentq(perfect, 0.0, 1.0))
    low, high = optimize.brentq(excess, 0.0, auc), optimize.brentq(excess, auc, 1.0)
    return min(float(low), auc), max(float(high), auc)


def newcombe_variance(
    auc: float, n_positive: int, n_negative: int, *, scaled: bool = False
) -> float:
    """Variance of an AUC from the sample sizes alone, as `newcombe_interval` takes it.

    Args:
        auc: the AUC.
        n_positive: number of positive scans (or patients).
        n_negative: number of negative ones.
        scaled: leave out the factor auc (1 - auc).
    """
    extra = (n_positive + n_negative) / 2 - 1
    variance = (1 + extra * ((1 - auc) / (2 - auc) + auc / (1 + auc))) / (n_positive * n_negative)
    return variance if scaled else auc * (1 - auc) * variance
