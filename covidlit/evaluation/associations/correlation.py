"""Pearson's and Spearman's correlation with intervals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from covidlit.counted import counted
from covidlit.evaluation.associations.association import Association
from covidlit.evaluation.estimate import Estimate

_FEWEST = 3


def pearson(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Association:
    """Pearson's r with the interval of Fisher's z; the p-value is SciPy's (of the t distribution).

    Args:
        x, y: shape (n,); rows in which either is NaN are left out.
        confidence: level of the interval.

    Source: Fisher, Metron 1921;1:3.
    """
    return _correlation(
        x, y, confidence, stats.pearsonr, "Pearson", "Fisher's z", lambda r, n: 1 / (n - 3)
    )


def spearman(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Association:
    """Spearman's rho with the interval of Bonett and Wright; the p-value is SciPy's (by t).

    Args:
        x, y: shape (n,); rows in which either is NaN are left out.
        confidence: level of the interval.

    Source: Bonett and Wright, Psychometrika 2000;65:23: the variance of Fisher's z of rho is
    (1 + rho^2 / 2) / (n - 3).
    """
    return _correlation(
        x, y, confidence, stats.spearmanr, "Spearman", "Fisher's z, Bonett and Wright",
        lambda r, n: (1 + r * r / 2) / (n - 3),
    )  # fmt: skip


def _correlation(
    x: ArrayLike,
    y: ArrayLike,
    confidence: float,
    of_scipy: Callable[..., Any],
    name: str,
    method: str,
    variance: Callable[[float, int], float],
) -> Association:
    first, second = _pairs(x, y)
    n = len(first)
    if reason := _reason(first, second):
        return Association.undefined(reason, n)
    with warnings.catch_warnings():  # of values that are the same but for rounding
        warnings.simplefilter("error", stats.ConstantInputWarning)
        warnings.simplefilter("error", stats.NearConstantInputWarning)
        try:
            found = of_scipy(first, second)
        except stats.ConstantInputWarning:
            return Association.undefined("one of the two is the same in all rows", n)
        except stats.NearConstantInputWarning:
            return Association.undefined("one of the two varies by rounding alone", n)
    r, p = float(found.statistic), float(found.pvalue)
    return Association(_interval(r, n, confidence, method, variance), p, name, r)


def _interval(
    r: float, n: int, confidence: float, method: str, variance: Callable[[float, int], float]
) -> Estimate:
    if n <= _FEWEST:
        return Estimate(r, None, None, n, "none", "an interval needs four rows")
    if abs(r) > 1 - 1e-12:
        return Estimate(r, None, None, n, "none", f"at {r:+.0f} Fisher's z has no end")
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * math.sqrt(variance(r, n))
    z = math.atanh(r)
    return Estimate(r, math.tanh(z - half), math.tanh(z + half), n, method)


def _pairs(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    known = np.isfinite(first) & np.isfinite(second)
    return first[known], second[known]


def _reason(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    if not len(x):
        return "no row has both values"
    if len(x) < _FEWEST:
        return f"{counted(len(x), 'row')} with both values: three are needed"
    if np.ptp(x) == 0:
        return f"the feature is {x[0]:g} in all {len(x)} rows"
    if np.ptp(y) == 0:
        return f"the outcome is the same in all {len(y)} rows that have the feature"
    return ""
