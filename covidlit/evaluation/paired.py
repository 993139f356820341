"""Paired tests: two scores, or two decisions, for the same scans."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from covidlit.evaluation.auc import repeat_aucs
from covidlit.evaluation.bootstrap import Sampling, Weights, weighted_auc
from covidlit.evaluation.cross_validation import PAIRED, fold_aucs, mean_auc_difference
from covidlit.evaluation.delong import placements
from covidlit.evaluation.difference import DifferenceTest, bootstrap_test
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import wilson

McNemar = Literal["exact", "mid-p", "chi2"]

DELONG = "DeLong, paired"
PAIRED_INTERVAL = "Newcombe, paired (square and add)"
_MCNEMAR = {"exact": "McNemar, exact", "mid-p": "McNemar, mid-p", "chi2": "McNemar, chi-squared"}
_SAME = 1e-12


def delong_test(
    target: NDArray[np.generic],
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    confidence: float = 0.95,
) -> DifferenceTest:
    """Difference of the AUCs of two scores of the same, independent scans.

    The interval is Wald's, cut to [-1, 1]; `statistic` is z. Where every scan stands at the same
    place in both scores, or the difference does not vary, there is no test: its variance is 0.

    Args:
        target: shape (n,), 1 for positive scans.
        first: shape (n,), higher means more likely positive.
        second: shape (n,).
        confidence: level of the interval.

    Raises:
        ValueError: the shapes differ.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837.
    """
    positive, scores, problem = _checked(target, first, second)
    m, n = int(positive.sum()), int((~positive).sum())
    if problem is not None:
        return DifferenceTest.undefined(problem, DELONG, m + n)
    above, below = placements(positive, scores)
    gain, loss = above[0] - above[1], below[0] - below[1]
    value = float(gain.mean())
    if m < 2 or n < 2:
        return _without_test(value, "DeLong's variance needs two scans of each class", m + n)
    if np.ptp(gain) < _SAME and np.ptp(loss) < _SAME:
        equal = abs(value) < _SAME
        why = "no scan changes its place" if equal else "all scans differ alike"
        value = 0.0 if equal else value
        return _without_test(value, f"DeLong's variance is 0: {why}", m + n)
    error = float(np.sqrt(gain.var(ddof=1) / m + loss.var(ddof=1) / n))
    z = value / error
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    estimate = Estimate(value, max(-1.0, value - half), min(1.0, value + half), m + n, DELONG)
    return DifferenceTest(estimate, z, float(2 * stats.norm.sf(abs(z))), DELONG, m + n)


def auc_difference(
    target: NDArray[np.generic],
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    sampling: Sampling,
    second_sampling: Sampling | None = None,
) -> DifferenceTest:
    """Difference of two AUCs: DeLong's test, or a patient bootstrap if scans are not independent.

    Where the models of several folds gave the scores, it is the difference of the means over the
    folds; see `covidlit.evaluation.cross_validation`.

    Args:
        target: shape (n,), 1 for positive scans.
        first: shape (n,).
        second: shape (n,).
        sampling: how these n scans were sampled, with the folds of the first score.
        second_sampling: the same with the folds of the second score, where these are others.
    """
    other = second_sampling or sampling
    if sampling.cross_validated or other.cross_validated:
        *_, problem = _checked(target, first, second)
        if problem is not None:
            return DifferenceTest.undefined(problem, PAIRED, len(np.asarray(target)))
        aucs = fold_aucs(target, first, sampling), fold_aucs(target, second, other)
        return mean_auc_difference(*aucs, sampling.confidence)
    if sampling.repeated:
        *_, problem = _checked(target, first, second)
        if problem is not None:
            return DifferenceTest.undefined(problem, DELONG, sampling.n_scans)

        def between(weights: Weights) -> NDArray[np.float64]:
            one, two = (repeat_aucs(target, each, sampling, weights) for each in (first, second))
            return one - two

        value = float(between(np.ones((1, len(np.asarray(target)))))[0])
        return bootstrap_test(value, sampling.distribution(between), sampling)
    test = delong_test(target, first, second, sampling.confidence)
    if not sampling.clustered or test.difference.value is None:
        return test

    def difference(weights: Weights) -> NDArray[np.float64]:
        return weighted_auc(target, first, weights) - weighted_auc(target, second, weights)

    return bootstrap_test(test.difference.value, sampling.distribution(difference), sampling)


def mcnemar_test(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    confidence: float = 0.95,
    method: McNemar = "exact",
) -> DifferenceTest:
    """Difference of two proportions of the same, independent scans.

    Only the scans on which the two differ say anything: "exact" is the binomial test of whether
    they fall to either side equally often, "mid-p" counts the observed table half, "chi2" is
    McNemar's own statistic without a continuity correction. Where there is no such scan, there is
    no test, but still a difference with its interval.

    Args:
        first: shape (n,), true where the first is right (or says yes).
        second: shape (n,), the same of the second.
        confidence: level of the interval.
        method: see above.

    Raises:
        ValueError: the shapes differ, or the method is unknown.

    Source: McNemar, Psychometrika 1947;12:153; mid-p: Fagerland, Lydersen and Laake, BMC Medical
    Research Methodology 2013;13:91.
    """
    if method not in _MCNEMAR:
        raise ValueError(f"unknown method {method!r}: use {', '.join(map(repr, _MCNEMAR))}")
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(f"the shapes {first.shape} and {second.shape} differ")
    name, n = _MCNEMAR[method], len(first)
    if n == 0:
        return DifferenceTest.undefined("there is no such scan", name)
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    gain, loss = int((first & ~second).sum()), int((~first & second).sum())
    interval = paired_interval(both, gain, loss, neither, confidence)
    estimate = Estimate((gain - loss) / n, *interval, n, PAIRED_INTERVAL)
    if gain + loss == 0:
        reason = "the two differ on no scan"
        return DifferenceTest(estimate, None, None, name, n, reason)
    statistic = float((gain - loss) ** 2 / (gain + loss)) if method == "chi2" else None
    return DifferenceTest(estimate, statistic, _mcnemar_p(gain, loss, method), name, n)


def proportion_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    among: NDArray[np.bool_],
    sampling: Sampling,
    method: McNemar = "exact",
    nothing: str = "there is no such scan",
) -> DifferenceTest:
    """Difference of two shares among the scans where `among` is true; all of shape (n,).

    McNemar's test, or a patient bootstrap where a patient has several scans; where that has no
    width, Newcombe's interval with the number of patients as n. `nothing` is the reason that is
    given if no scan is in `among`.
    """
    if not among.any():
        return DifferenceTest.undefined(nothing, _MCNEMAR[method])
    first, second, part = first[among], second[among], sampling.subset(among)
    test = mcnemar_test(first, second, sampling.confidence, method)
    if not part.clustered or test.difference.value is None:
        return test
    step = first.astype(float) - second.astype(float)

    def difference(weights: Weights) -> NDArray[np.float64]:
        return (weights @ step) / weights.sum(axis=1)

    test = bootstrap_test(test.difference.value, part.distribution(difference), part)
    if test.difference.low is not None:
        return test
    if part.n_patients == 1:
        return test
    share = part.n_patients / len(step)
    cells = (first & second, first & ~second, ~first & second, ~first & ~second)
    both, gain, loss, neither = (share * int(cell.sum()) for cell in cells)
    interval = paired_interval(both, gain, loss, neither, part.confidence)
    name = f"{PAIRED_INTERVAL}, n = patients"
    estimate = Estimate(float(step.mean()), *interval, part.n_scans, name)
    return replace(test, difference=estimate)


def paired_interval(
    both: float, first_only: float, second_only: float, neither: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval for the difference of two paired proportions, from the four counts.

    It adds the squares of the two Wilson intervals' half-widths, less what the correlation of the
    two takes away. It has a width also where the two never differ.

    Source: Newcombe, Statistics in Medicine 1998;17:2635, method 10.
    """
    n = both + first_only + second_only + neither
    yes = np.array([both + first_only, both + second_only])
    share = yes / n
    low, high = wilson(yes, n, confidence)
    margins = float(np.prod(yes.astype(float)) * np.prod((n - yes).astype(float)))
    product = float(both * neither - first_only * second_only)
    if product > 0:
        product = max(product - n / 2, 0.0)
    phi = product / float(np.sqrt(margins)) if margins > 0 else 0.0

    def length(a: float, b: float) -> float:
        return float(np.sqrt(max(0.0, a**2 - 2 * phi * a * b + b**2)))

    value = (first_only - second_only) / n
    below = length(share[0] - low[0], high[1] - share[1])
    above = length(high[0] - share[0], share[1] - low[1])
    return max(-1.0, value - below), min(1.0, value + above)


def _mcnemar_p(gain: int, loss: int, method: McNemar) -> float:
    total = gain + loss
    if method == "chi2":
        return float(stats.chi2.sf((gain - loss) ** 2 / total, 1))
    exact = min(1.0, 2 * float(stats.binom.cdf(min(gain, loss), total, 0.5)))
    if method == "exact":
        return exact
    observed = float(stats.binom.pmf(gain, total, 0.5))
    return 1 - observed / 2 if gain == loss else exact - observed


def _checked(
    target: NDArray[np.generic], first: NDArray[np.floating], second: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], str | None]:
    """Targets, both scores (2, n), and why they cannot be compared, or None."""
    positive = np.asarray(target).astype(bool)
    rows = [np.asarray(score, dtype=np.float64) for score in (first, second)]
    if any(row.shape != positive.shape for row in rows):
        raise ValueError(
            f"scores {rows[0].shape} and {rows[1].shape} do not fit the targets {positive.shape}"
        )
    scores = np.stack(rows)
    if positive.all() or not positive.any():
        return positive, scores, f"no {'negative' if positive.any() else 'positive'} scan"
    if missing := int(np.isnan(scores).any(axis=0).sum()):
        return positive, scores, f"{missing} of {len(positive)} scans have no score"
    return positive, scores, None


def _without_test(value: float, reason: str, n: int) -> DifferenceTest:
    return DifferenceTest(
        Estimate(value, None, None, n, DELONG, reason), None, None, DELONG, n, reason
    )
