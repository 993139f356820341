"""Measures and tests against SciPy and statsmodels, and what cannot be computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats.contingency import odds_ratio as scipy_odds_ratio
from sklearn.metrics import roc_auc_score
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from covidlit.evaluation.associations import (
    Association,
    cliffs_delta,
    correct,
    group_test,
    hedges_g,
    odds_ratio,
    pearson,
    rank_auc,
    risk_difference,
    spearman,
)
from covidlit.evaluation.estimate import Estimate

pytestmark = pytest.mark.filterwarnings(
    "error",
    # What the garbage collector finds of other tests' folders is not these tests' doing.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
seeds = st.integers(0, 100_000)
quick = settings(deadline=None, max_examples=40)


def numbers(seed: int, n: int = 30) -> tuple[Any, Any, Any]:
    """Values with ties and gaps, a second column, and two groups."""
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=n).round(1)
    group = rng.permutation(np.arange(n) % 3 == 0)
    y = rng.normal(size=n).round(1) + x * rng.normal()
    return np.where(rng.random(n) < 0.15, np.nan, x), y, group


@quick
@given(seeds)
def test_correlations_are_scipys_without_gaps(seed: int) -> None:
    x, y, _ = numbers(seed)
    known = ~np.isnan(x)
    first, second = x[known], y[known]
    expected = stats.pearsonr(first, second)
    found = pearson(x, y)
    interval = expected.confidence_interval(0.95)
    estimate = found.estimate
    assert estimate.value == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))
    assert estimate.n == known.sum()
    ranked, rank = stats.spearmanr(first, second), spearman(x, y)
    assert rank.estimate.value == pytest.approx(ranked.statistic)
    assert rank.p_value == pytest.approx(ranked.pvalue)
    # Bonett and Wright, on the scale of Fisher's z.
    rho, n = ranked.statistic, known.sum()
    half = stats.norm.ppf(0.975) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    ends = np.arctanh([rank.estimate.low or 0, rank.estimate.high or 0])
    assert ends == pytest.approx([np.arctanh(rho) - half, np.arctanh(rho) + half])


@quick
@given(seeds)
def test_effect_sizes_are_those_of_statsmodels_and_scikit_learn(seed: int) -> None:
    x, _, group = numbers(seed)
    first, second = x[group & ~np.isnan(x)], x[~group & ~np.isnan(x)]
    g, variance = effectsize_smd(
        first.mean(), first.std(ddof=1), len(first), second.mean(), second.std(ddof=1), len(second)
    )
    found = hedges_g(x, group)
    assert found.value == pytest.approx(g)
    assert found.low == pytest.approx(g - stats.norm.ppf(0.975) * math.sqrt(variance))
    known = ~np.isnan(x)
    auc = roc_auc_score(group[known], x[known])
    assert rank_auc(x, group).value == pytest.approx(auc)
    higher = (first[:, None] > second).mean() - (first[:, None] < second).mean()
    assert cliffs_delta(x, group).value == pytest.approx(higher)


@quick
@given(seeds, st.sampled_from([0.1, 0.5, 0.95]))
@example(0, 0.0)
def test_shares_are_those_of_scipy_and_statsmodels(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    group = np.arange(40) % 3 == 0
    exposed = rng.random(40) < share
    a, m, c, k = (exposed & group).sum(), group.sum(), (exposed & ~group).sum(), (~group).sum()
    low, high = confint_proportions_2indep(a, m, c, k, compare="diff", method="newcomb")
    found = risk_difference(exposed, group)
    assert (found.value, found.low, found.high) == pytest.approx((a / m - c / k, low, high))
    ratio = odds_ratio(exposed, group)
    if not exposed.any() or exposed.all():
        assert ratio.reason == "the feature is the same in all rows"
        return
    expected = scipy_odds_ratio(np.array([[a, m - a], [c, k - c]]), kind="conditional")
    if not math.isfinite(expected.statistic):
        assert ratio.value is None
        assert "without end" in str(ratio.reason)
        return
    assert ratio.value == pytest.approx(expected.statistic)
    ends = expected.confidence_interval()
    if math.isfinite(ends.high):
        assert (ratio.low, ratio.high) == pytest.approx((ends.low, ends.high))


@quick
@given(seeds)
def test_each_kind_gets_its_test_and_scipys_p(seed: int) -> None:
    x, y, group = numbers(seed, 120)
    known = ~np.isnan(x)
    first, second = x[group & known], x[~group & known]
    skewed = any(abs(stats.skew(part)) > 1 for part in (first, second))
    found = group_test(x, group, "continuous")
    expected: Any = (
        stats.mannwhitneyu(second, first)
        if skewed
        else stats.ttest_ind(second, first, equal_var=False)
    )
    assert found.test == ("Mann-Whitney U" if skewed else "Welch's t")
    assert found.p_value == pytest.approx(expected.pvalue)
    even = group_test(
        np.sort(y) * 0 + stats.norm.ppf((np.arange(120) + 0.5) / 120), group, "continuous"
    )
    assert even.test == "Welch's t"
    assert group_test(x, group, "ordered").p_value == pytest.approx(
        stats.mannwhitneyu(second, first).pvalue
    )
    three = np.arange(120) % 3
    parts = [x[(three == i) & known] for i in range(3)]
    found = group_test(x, three, "continuous")
    assert found.test == "Kruskal-Wallis"
    assert found.p_value == pytest.approx(stats.kruskal(*parts).pvalue)
    flag = (y > 0).astype(float)
    cells = np.array([[((flag == i) & (group == j)).sum() for j in (0, 1)] for i in (0, 1)])
    found = group_test(flag, group, "binary")
    assert found.test == "Fisher's exact"
    assert found.p_value == pytest.approx(stats.fisher_exact(cells).pvalue)
    kind = (np.arange(120) * 7 % 4).astype(float)
    cells = np.array([[((kind == i) & (three == j)).sum() for j in range(3)] for i in range(4)])
    found = group_test(kind, three, "category")
    assert found.test == "chi-square"
    expected = stats.chi2_contingency(cells, correction=False)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_few_counts_are_permuted() -> None:
    kind = np.array([0.0] * 4 + [1.0] * 4 + [2.0] * 4)
    group = np.array([0] * 4 + [1] * 4 + [0, 0, 1, 1])
    found = group_test(kind, group, "category")
    assert found.test == "chi-square by permutation"
    # Of the C(12, 6) ways to give out the groups, those with a chi-square at least as large.
    cells = [[4, 0], [0, 4], [2, 2]]
    observed = stats.chi2_contingency(cells, correction=False).statistic
    total = extreme = 0
    for a in range(5):
        for b in range(5):
            c = 6 - a - b
            if 0 <= c <= 4:
                ways = math.comb(4, a) * math.comb(4, b) * math.comb(4, c)
                value = sum((n - 2) ** 2 / 2 for n in (a, b, c, 4 - a, 4 - b, 4 - c))
                total += ways
                extreme += ways * (value >= observed - 1e-9)
    assert found.p_value == pytest.approx(extreme / total, abs=0.01)
    assert group_test(kind, group, "category").p_value == found.p_value


@quick
@given(st.lists(st.floats(1e-6, 1) | st.none(), min_size=1, max_size=12))
def test_holm_is_statsmodels_over_what_was_computed(p_values: list[float | None]) -> None:
    blank = Estimate.undefined("nothing")
    found = [each.p_holm for each in correct([Association(blank, p) for p in p_values])]
    known = [p for p in p_values if p is not None]
    expected = iter(multipletests(known, method="holm")[1] if known else [])
    assert found == [None if p is None else pytest.approx(next(expected)) for p in p_values]


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([1.0, 2.0], [0, 1], "2 rows with both values: three are needed"),
        ([1.0], [0], "1 row with both values"),
        ([np.nan] * 4, [0, 1, 0, 1], "no row has both values"),
        ([], [], "no row has both values"),
        ([5.0] * 4, [0, 1, 0, 1], "the feature is 5 in all 4 rows"),
        ([1.0, 2, 3, 4], [1, 1, 1, 1], "the outcome is the same in all 4 rows"),
        ([1.0, np.nan, 3, np.nan], [1, 0, 1, 0], "2 rows with both values"),
    ],
)
def test_what_has_no_correlation_says_why(x: Any, y: Any, reason: str) -> None:
    for found in (pearson(x, y), spearman(x, y)):
        assert found.estimate.value is None
        assert reason in str(found.estimate.reason)
        assert found.p_value is None


def test_what_varies_by_rounding_alone_is_said_and_not_warned_of() -> None:
    found = pearson([1e8, 1e8 + 1e-6, 1e8, 1e8 + 1e-6, 1e8], [0, 1, 0, 1, 1])
    assert found.estimate.reason == "one of the two varies by rounding alone"


@pytest.mark.parametrize("kind", ["continuous", "ordered", "binary", "category"])
def test_what_has_no_test_says_why(kind: Any) -> None:
    two = np.array([0, 1, 0, 1])
    for values, groups, reason in [
        (np.full(4, np.nan), two, "no row has a value"),
        (np.ones(4), two, "the feature is the same in all rows"),
        (np.array([0.0, 1, 0, 1]), np.zeros(4), "only one group"),
        (np.array([0.0, np.nan, 1, np.nan]), two, "only one group"),
    ]:
        found = group_test(values, groups, kind)
        assert found.p_value is None
        assert reason in str(found.estimate.reason)
    assert group_test(np.array([0.0, 1.0]), np.array([0, 1]), kind).p_value is not None


def test_effect_sizes_of_next_to_nothing_say_why() -> None:
    two = np.array([True, False])
    assert "fewer than 2" in str(hedges_g(np.array([1.0, 2.0]), two).reason)
    assert rank_auc(np.array([2.0, 1.0]), two).value == 1.0
    assert cliffs_delta(np.array([2.0, 1.0]), two).value == 1.0
    one = np.array([True, True])
    for effect in (hedges_g, rank_auc, cliffs_delta):
        assert "one group has no row" in str(effect(np.array([1.0, 2.0]), one).reason)
        assert "no row has a value" in str(effect(np.full(2, np.nan), two).reason)
        assert "in all 4 rows" in str(effect(np.ones(4), np.array([1, 1, 0, 0]) > 0).reason)
    within = hedges_g(np.array([1.0, 1, 2, 2]), np.array([0, 0, 1, 1]) > 0)
    assert within.reason == "it does not vary within the groups"
    perfect = pearson([1.0, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    assert perfect.estimate.value == pytest.approx(1.0)
    assert perfect.estimate.low is None
    assert "Fisher's z" in str(perfect.estimate.reason)
    assert "four rows" in str(pearson([1.0, 2, 4], [1, 3, 2]).estimate.reason)
