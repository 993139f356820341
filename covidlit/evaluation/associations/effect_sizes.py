"""How far two groups lie apart: standardised, by rank, and as shares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.stats.contingency import odds_ratio as of_scipy
from statsmodels.stats.proportion import confint_proportions_2indep

from covidlit.evaluation.auc import auc_estimate
from covidlit.evaluation.estimate import Estimate


def hedges_g(
    values: NDArray[np.floating], positive: NDArray[np.bool_], confidence: float = 0.95
) -> Estimate:
    """Difference of the means in pooled standard deviations, corrected for small samples.

    Args:
        values: shape (n,), NaN where undefined.
        positive: shape (n,), the group whose mean comes first.
        confidence: level of the interval, a normal one.

    Source: Hedges, Journal of Educational Statistics 1981;6:107; variance as in statsmodels
    (`effectsize_smd`), Borenstein 2009.
    """
    first, second = _groups(values, positive)
    m, k = len(first), len(second)
    if reason := _reason(first, second, at_least=2):
        return Estimate.undefined(reason, m + k)
    pooled = ((m - 1) * first.var(ddof=1) + (k - 1) * second.var(ddof=1)) / (m + k - 2)
    if pooled <= 0:
        return Estimate.undefined("it does not vary within the groups", m + k)
    g = float((first.mean() - second.mean()) / math.sqrt(pooled)) * (1 - 3 / (4 * (m + k) - 9))
    if not math.isfinite(g):
        return Estimate.undefined("it varies by rounding alone within the groups", m + k)
    if m + k < 4 + 1:
        return Estimate(g, None, None, m + k, "none", "an interval needs five rows")
    half = _z(confidence) * math.sqrt((m + k) / (m * k) + g * g / (2 * (m + k - 3.94)))
    return Estimate(g, g - half, g + half, m + k, "normal")


def rank_auc(
    values: NDArray[np.floating], positive: NDArray[np.bool_], confidence: float = 0.95
) -> Estimate:
    """The chance that a value of the positive group is the higher one; DeLong's interval.

    Arguments as of `hedges_g`; undefined values are left out.
    """
    known = np.isfinite(np.asarray(values, dtype=np.float64))
    first, second = _groups(values, positive)
    if reason := _reason(first, second, at_least=1):
        return Estimate.undefined(reason, int(known.sum()))
    return auc_estimate(positive[known], np.asarray(values, dtype=np.float64)[known], confidence)


def cliffs_delta(
    values: NDArray[np.floating], positive: NDArray[np.bool_], confidence: float = 0.95
) -> Estimate:
    """The chance that a value of the positive group is the higher one, less that it is the lower.

    2 AUC - 1, and its interval likewise. Source: Cliff, Psychological Bulletin 1993;114:494.
    """
    auc = rank_auc(values, positive, confidence)
    if auc.value is None or auc.low is None or auc.high is None:
        return auc
    return Estimate(2 * auc.value - 1, 2 * auc.low - 1, 2 * auc.high - 1, auc.n, auc.method)


def risk_difference(
    exposed: NDArray[np.bool_], positive: NDArray[np.bool_], confidence: float = 0.95
) -> Estimate:
    """Share of the feature in the positive group less that in the other.

    Args:
        exposed: shape (n,), who has the feature.
        positive: shape (n,), the group that comes first.
        confidence: level of the interval.

    Source: Newcombe, Statistics in Medicine 1998;17:873, method 10.
    """
    a, b, c, d = two_by_two(exposed, positive)
    n = a + b + c + d
    if reason := _one_group(a + b, c + d):
        return Estimate.undefined(reason, n)
    value = a / (a + b) - c / (c + d)
    low, high = confint_proportions_2indep(
        a, a + b, c, c + d, compare="diff", method="newcomb", alpha=1 - confidence
    )
    return Estimate(value, min(float(low), value), max(float(high), value), n, "Newcombe")


def odds_ratio(
    exposed: NDArray[np.bool_], positive: NDArray[np.bool_], confidence: float = 0.95
) -> Estimate:
    """The conditional maximum likelihood estimate of the odds ratio with its exact interval.

    Arguments as of `risk_difference`. Source: Fisher's non-central hypergeometric distribution, as
    in SciPy.
    """
    a, b, c, d = two_by_two(exposed, positive)
    n = a + b + c + d
    if reason := _one_group(a + b, c + d):
        return Estimate.undefined(reason, n)
    if a + c == 0 or b + d == 0:
        return Estimate.undefined("the feature is the same in all rows", n)
    found = of_scipy(np.array([[a, b], [c, d]]), kind="conditional")
    interval = found.confidence_interval(confidence)
    value, low, high = float(found.statistic), float(interval.low), float(interval.high)
    if not math.isfinite(value):
        return Estimate.undefined(f"without end: a cell is empty (at least {low:.3g})", n)
    if not math.isfinite(high):
        return Estimate(value, None, None, n, "none", f"an end is without end (at least {low:.3g})")
    return Estimate(value, min(low, value), max(high, value), n, "exact, conditional")


def two_by_two(
    exposed: NDArray[np.bool_], positive: NDArray[np.bool_]
) -> tuple[int, int, int, int]:
    """Counts: positive with and without the feature, then the others with and without it."""
    first, second = np.asarray(exposed, dtype=bool), np.asarray(positive, dtype=bool)
    return (
        int((first & second).sum()),
        int((~first & second).sum()),
        int((first & ~second).sum()),
        int((~first & ~second).sum()),
    )


def _groups(
    values: NDArray[np.floating], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    numbers = np.asarray(values, dtype=np.float64)
    known, group = np.isfinite(numbers), np.asarray(positive, dtype=bool)
    return numbers[known & group], numbers[known & ~group]


def _reason(first: NDArray[np.float64], second: NDArray[np.float64], *, at_least: int) -> str:
    if reason := _one_group(len(first), len(second)):
        return reason
    if min(len(first), len(second)) < at_least:
        return f"a group has fewer than {at_least} rows with a value"
    both = np.concatenate([first, second])
    return f"the feature is {both[0]:g} in all {len(both)} rows" if np.ptp(both) == 0 else ""


def _one_group(first: int, second: int) -> str:
    if first and second:
        return ""
    return "no row has a value" if not first + second else "one group has no row with a value"


def _z(confidence: float) -> float:
    return float(stats.norm.ppf(0.5 + confidence / 2))
