"""Whether a feature differs between groups: the test that its kind asks for."""

from __future__ import annotations

import math
import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from covidlit.evaluation.associations.association import Association
from covidlit.evaluation.estimate import Estimate

Kind = Literal["continuous", "ordered", "binary", "category"]

RULE = (
    "Two groups: Welch's t test of a continuous feature with at least 30 values and a skewness "
    "between -1 and 1 in both, the Mann-Whitney U test of any other continuous or ordered one. "
    "More groups: Kruskal-Wallis. Categories: Fisher's exact test of two by two, else chi-square, "
    "by 9,999 permutations where a count below 5 is expected in more than a fifth of the cells or "
    "below 1 in any."
)
"""Which test is used, as a sentence for people."""

_ENOUGH, _SKEW = 30, 1.0
_PERMUTATIONS = 9_999


def group_test(values: ArrayLike, groups: ArrayLike, kind: Kind, seed: int = 0) -> Association:
    """Test whether a feature differs between groups; `RULE` says by which test.

    Args:
        values: shape (n,): numbers, NaN where undefined, of a continuous or ordered feature; for
            categories codes of any kind, of which negative ones and NaN are undefined.
        groups: shape (n,), codes of two or more groups.
        kind: of the feature.
        seed: of the permutations.

    Returns:
        An association whose estimate is undefined: a test measures nothing.
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = np.isfinite(numbers)
    if kind in ("binary", "category"):
        known &= numbers >= 0
    numbers, labels = numbers[known], np.asarray(groups)[known]
    n, present = len(numbers), np.unique(labels)
    if not n:
        return Association.undefined("no row has a value")
    if len(present) < 2:
        return Association.undefined("only one group has rows with a value", n)
    if np.ptp(numbers) == 0:
        return Association.undefined("the feature is the same in all rows", n)
    if kind in ("binary", "category"):
        return _categories(numbers, labels, seed)
    parts = [numbers[labels == label] for label in present]
    if len(parts) > 2:
        found = stats.kruskal(*parts)
        return _tested(found.statistic, found.pvalue, "Kruskal-Wallis", n)
    if kind == "continuous" and all(map(_is_even, parts)):
        found = stats.ttest_ind(*parts, equal_var=False)
        return _tested(found.statistic, found.pvalue, "Welch's t", n)
    found = stats.mannwhitneyu(*parts)
    return _tested(found.statistic, found.pvalue, "Mann-Whitney U", n)


def _is_even(values: NDArray[np.float64]) -> bool:
    """Whether the mean of so many such values is near enough to normal for a t test."""
    if len(values) < _ENOUGH or np.ptp(values) == 0:
        return False
    with warnings.catch_warnings():  # of values that are nearly the same
        warnings.simplefilter("ignore", RuntimeWarning)
        return abs(float(stats.skew(values))) <= _SKEW


def _categories(values: NDArray[np.float64], groups: NDArray[np.generic], seed: int) -> Association:
    kinds, rows = np.unique(values, return_inverse=True)
    labels, columns = np.unique(groups, return_inverse=True)
    n = len(values)
    counts = _counts(rows, columns, len(kinds), len(labels))
    if counts.shape == (2, 2):
        found = stats.fisher_exact(counts)
        return _tested(found.statistic, found.pvalue, "Fisher's exact", n)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / n
    if (expected < 5).mean() <= 0.2 and expected.min() >= 1:
        found = stats.chi2_contingency(counts, correction=False)
        return _tested(found.statistic, found.pvalue, "chi-square", n)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    rng = np.random.default_rng(seed)
    beyond = 0
    for _ in range(_PERMUTATIONS):
        drawn = _counts(rows, rng.permutation(columns), len(kinds), len(labels))
        beyond += ((drawn - expected) ** 2 / expected).sum() >= statistic - 1e-9
    p = (beyond + 1) / (_PERMUTATIONS + 1)
    return _tested(statistic, p, "chi-square by permutation", n)


def _counts(
    rows: NDArray[np.integer], columns: NDArray[np.integer], n_rows: int, n_columns: int
) -> NDArray[np.int64]:
    flat = np.bincount(rows * n_columns + columns, minlength=n_rows * n_columns)
    return flat.reshape(n_rows, n_columns)


def _tested(statistic: float, p_value: float, test: str, n: int) -> Association:
    value, p = float(statistic), float(p_value)
    if math.isnan(p):
        return Association.undefined(f"{test} gives no p-value of these rows", n)
    measure = Estimate.undefined("a test measures nothing", n)
    return Association(measure, p, test, value if math.isfinite(value) else None)
