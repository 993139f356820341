"""Unpaired tests against explicit sums, statsmodels, a closed form and published examples."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from covidlit.evaluation.auc import auc_estimate
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.unpaired import (
    auc_difference_common_negatives,
    fisher_test,
    unpaired_interval,
)


def test_fisher_published_example() -> None:
    # Fisher's tea taster (Agresti 2002, p. 91): one-sided p = 0.2429, and the design is symmetric.
    test = fisher_test(3, 4, 1, 4)
    assert test.p_value == pytest.approx(2 * 0.2429, abs=1e-4)
    assert test.statistic == 9


# Newcombe, Statistics in Medicine 1998;17:873, method 10.
@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090)],
)
def test_unpaired_interval_published(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert unpaired_interval(*counts) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("seed", range(25))
def test_fisher_equals_the_hypergeometric_sum_on_random_tables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_1, n_2 = rng.integers(1, 30, 2)
    count_1, count_2 = int(rng.integers(0, n_1 + 1)), int(rng.integers(0, n_2 + 1))
    successes = count_1 + count_2
    ways = [
        comb(int(n_1), k) * comb(int(n_2), successes - k)
        for k in range(max(0, successes - int(n_2)), min(int(n_1), successes) + 1)
    ]
    observed = comb(int(n_1), count_1) * comb(int(n_2), count_2)
    wanted = sum(way for way in ways if way <= observed) / sum(ways)
    test = fisher_test(count_1, int(n_1), count_2, int(n_2), 0.9)
    assert test.p_value == pytest.approx(wanted)
    interval = confint_proportions_2indep(
        count_1, n_1, count_2, n_2, method="newcomb", compare="diff", alpha=0.1
    )
    assert (test.difference.low, test.difference.high) == pytest.approx(interval, abs=1e-9)


def test_an_empty_group_has_no_proportion() -> None:
    test = fisher_test(0, 0, 3, 4)
    assert (test.p_value, test.difference.value, test.reason) == (None, None, "a group has no scan")
    assert fisher_test(4, 4, 0, 3).statistic is None  # an infinite odds ratio
    with pytest.raises(ValueError, match="5 of 4 is no proportion"):
        fisher_test(5, 4, 1, 4)


def closed_form(x: np.ndarray, y: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Difference of the AUCs of two groups of positives and its standard error, by placements."""
    over_x, over_y = (np.array([(negative < value).mean() for value in v]) for v in (x, y))
    shared = np.array([(x > value).mean() - (y > value).mean() for value in negative])
    variance = (
        over_x.var(ddof=1) / len(x)
        + over_y.var(ddof=1) / len(y)
        + shared.var(ddof=1) / len(negative)
    )
    return float(over_x.mean() - over_y.mean()), float(np.sqrt(variance))


def test_two_groups_of_positives_with_common_negatives() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(400) < 160
    first = np.arange(400) < 100
    second = (np.arange(400) >= 100) & (np.arange(400) < 150)  # ten positives are in neither
    score = rng.normal(size=400) + 1.2 * target + 0.5 * first
    score[155] = np.nan  # of a scan in neither group: it is not looked at
    sampling = Sampling(np.arange(400), n_bootstrap=4000, seed=1)
    test = auc_difference_common_negatives(target, score, first, second, sampling)
    negative = score[~target]
    value, error = closed_form(score[first], score[second], negative)
    assert test.n == 390
    assert test.difference.value == pytest.approx(value)
    expected = value - 1.96 * error, value + 1.96 * error
    assert (test.difference.low, test.difference.high) == pytest.approx(expected, abs=0.015)
    assert test.p_value == pytest.approx(2 * stats.norm.sf(abs(value / error)), abs=0.015)
    groups = [
        auc_estimate(np.r_[np.ones(len(s)), np.zeros(240)], np.r_[s, negative]).value
        for s in (score[first], score[second])
    ]
    assert groups[0] is not None
    assert groups[1] is not None
    assert value == pytest.approx(groups[0] - groups[1])


def test_groups_without_an_answer_say_why() -> None:
    target, score = np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.2, np.nan])
    sampling, none = Sampling.independent(4), np.zeros(4, bool)
    first, second = np.array([1, 0, 0, 0], bool), np.array([0, 1, 0, 0], bool)

    def reason(first: np.ndarray, second: np.ndarray, target: np.ndarray = target) -> str | None:
        test = auc_difference_common_negatives(target, score, first, second, sampling)
        assert test.p_value is None
        assert test.difference.value is None
        return test.reason

    assert reason(none, second) == "no positive scan in the first group"
    assert reason(first, none) == "no positive scan in the second group"
    assert reason(first, second) == "1 of 4 scans have no score"
    assert reason(first, second, np.ones(4, int)) == "no negative scan"
    with pytest.raises(ValueError, match="in both groups"):
        auc_difference_common_negatives(target, score, first, first, sampling)
