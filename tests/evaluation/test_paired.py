"""Paired tests against the definition, statsmodels, SciPy and published examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.paired import (
    auc_difference,
    delong_test,
    mcnemar_test,
    paired_interval,
    proportion_difference,
)

Pair = tuple[np.ndarray, np.ndarray]


def pair(both: int, first_only: int, second_only: int, neither: int) -> Pair:
    """Two boolean arrays with these counts."""
    counts = [both, first_only, second_only, neither]
    return (
        np.repeat([True, True, False, False], counts),
        np.repeat([True, False, True, False], counts),
    )


def random_table(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets and two scores, correlated and with ties for most seeds."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 60))
    target = np.arange(n) < rng.integers(2, n - 1)
    latent = rng.normal(size=n)
    decimals = int(rng.integers(0, 4))
    first, second = (
        np.round(latent + rng.normal(size=n) + strength * target, decimals)
        for strength in rng.uniform(0, 2, 2)
    )
    return target, first, second


def delong_by_definition(
    target: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, float]:
    """Difference and its standard error from every pair of a positive and a negative scan."""
    kernels = []
    for score in (first, second):
        x, y = score[target], score[~target]
        kernels.append([[1.0 if a > b else 0.5 if a == b else 0.0 for b in y] for a in x])
    kernel = np.array(kernels[0]) - np.array(kernels[1])
    m, n = kernel.shape
    centre = kernel.mean()
    over_positives = ((kernel.mean(axis=1) - centre) ** 2).sum() / (m - 1) / m
    over_negatives = ((kernel.mean(axis=0) - centre) ** 2).sum() / (n - 1) / n
    return float(centre), float(np.sqrt(over_positives + over_negatives))


@pytest.mark.parametrize("seed", range(25))
def test_delong_equals_the_definition_on_random_tables(seed: int) -> None:
    target, first, second = random_table(seed)
    value, error = delong_by_definition(target, first, second)
    test = delong_test(target, first, second, 0.9)
    assert test.difference.value == pytest.approx(value, abs=1e-12)
    assert test.statistic == pytest.approx(value / error)
    assert test.p_value == pytest.approx(stats.chi2.sf((value / error) ** 2, 1))
    low, high = stats.norm.interval(0.9, value, error)
    assert (test.difference.low, test.difference.high) == pytest.approx(
        (max(-1, low), min(1, high))
    )
    swapped = delong_test(target, second, first, 0.9)
    assert swapped.p_value == pytest.approx(test.p_value)
    assert swapped.difference.value == pytest.approx(-value, abs=1e-12)


def test_delong_keeps_its_level_and_finds_what_is_there() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(150) < 60
    rejected = np.zeros(2)
    for _ in range(400):
        latent = rng.normal(size=150)
        first, equal, worse = (
            latent + rng.normal(size=150) + strength * target for strength in (2, 2, 0.7)
        )
        for place, other in enumerate((equal, worse)):
            p_value = delong_test(target, first, other).p_value
            assert p_value is not None
            rejected[place] += p_value < 0.05
    assert 0.02 < rejected[0] / 400 < 0.09
    assert rejected[1] / 400 > 0.95


@pytest.mark.parametrize(
    ("target", "first", "second", "value", "reason"),
    [
        ([1, 1, 1], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1], None, "no negative scan"),
        ([0, 0], [0.1, 0.2], [0.3, 0.2], None, "no positive scan"),
        ([], [], [], None, "no positive scan"),
        ([0, 1, 1], [0.1, np.nan, 0.3], [0.3, 0.2, np.nan], None, "2 of 3 scans have no score"),
        ([0, 1], [0.1, 0.2], [0.3, 0.2], 1.0, "DeLong's variance needs two scans of each class"),
        ([0, 0, 1, 1], [0.5] * 4, [0.5] * 4, 0.0, "DeLong's variance is 0: no scan changes"),
        ([0, 0, 1, 1], [1, 2, 3, 4], [2, 1, 4, 3], 0.0, "DeLong's variance is 0: no scan changes"),
        ([0, 0, 1, 1], [1, 2, 3, 4], [0.5] * 4, 0.5, "DeLong's variance is 0: all scans differ"),
    ],
)
def test_delong_without_an_answer_says_why(
    target: list[int], first: list[float], second: list[float], value: float | None, reason: str
) -> None:
    test = delong_test(np.array(target), np.array(first, float), np.array(second, float))
    assert (test.p_value, test.statistic, test.difference.low) == (None, None, None)
    assert test.difference.value == value
    assert test.reason is not None
    assert test.reason.startswith(reason)
    assert test.difference.reason == test.reason


# Newcombe, Statistics in Medicine 1998;17:2635, method 10.
@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((18, 12, 2, 18), 0.0562, 0.3290),
        ((53, 0, 0, 1), -0.0729, 0.0729),
        ((0, 30, 0, 0), 0.8395, 1.0),
    ],
)
def test_paired_interval_published(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert paired_interval(*counts) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("method", "p_value"), [("exact", 0.052479), ("mid-p", 0.034690), ("chi2", 0.033006)]
)
def test_mcnemar_published_example(method: str, p_value: float) -> None:
    # Cavo et al. 2012, as worked out in Fagerland, Lydersen and Laake, Statistical Analysis of
    # Contingency Tables, chapter 8 (values of its R package, contingencytables).
    test = mcnemar_test(*pair(59, 6, 16, 80), method=method)  # type: ignore[arg-type]
    assert test.p_value == pytest.approx(p_value, abs=5e-7)
    found = test.difference.value, test.difference.low, test.difference.high
    assert found == pytest.approx((-0.0621, -0.1186, -0.0046), abs=5e-5)
    if method == "chi2":
        assert test.statistic == pytest.approx(2.132**2, abs=2e-3)


@pytest.mark.parametrize("seed", range(25))
def test_mcnemar_equals_statsmodels_on_random_tables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, rng.integers(2, 40), 4)
    counts[1] += 1
    first, second = pair(*counts)
    table = [[counts[0], counts[1]], [counts[2], counts[3]]]
    exact, chi2 = mcnemar_test(first, second), mcnemar_test(first, second, method="chi2")
    assert exact.p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
    wanted = mcnemar(table, exact=False, correction=False)
    assert (chi2.statistic, chi2.p_value) == pytest.approx((wanted.statistic, wanted.pvalue))
    difference = exact.difference
    assert difference.value == pytest.approx(first.mean() - second.mean())
    assert difference.value is not None
    assert difference.low is not None
    assert difference.high is not None
    assert -1 <= difference.low <= difference.value <= difference.high <= 1
    # Mid-p: half of the observed table's probability is taken off, in both tails.
    tail = stats.binom.pmf(np.arange(min(counts[1:3])), counts[1] + counts[2], 0.5).sum()
    observed = stats.binom.pmf(counts[1], counts[1] + counts[2], 0.5)
    mid = mcnemar_test(first, second, method="mid-p").p_value
    wanted_mid = 2 * tail + observed if counts[1] != counts[2] else 1 - observed / 2
    assert mid == pytest.approx(wanted_mid)


def test_mcnemar_without_an_answer_says_why() -> None:
    same = np.array([True, True, False])
    agreed = mcnemar_test(same, same)
    assert (agreed.p_value, agreed.reason) == (None, "the two differ on no scan")
    assert agreed.difference.value == 0
    assert agreed.difference.low is not None
    assert agreed.difference.low < 0
    empty = mcnemar_test(same[:0], same[:0])
    assert (empty.p_value, empty.difference.value) == (None, None)
    assert empty.reason == "there is no such scan"
    nothing = proportion_difference(
        same, ~same, np.zeros(3, bool), Sampling.independent(3), nothing="no positive scan"
    )
    assert nothing.reason == "no positive scan"


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit the targets"):
        delong_test(np.array([0, 1]), np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="shapes"):
        mcnemar_test(np.zeros(3, bool), np.zeros(2, bool))
    with pytest.raises(ValueError, match="unknown method 'yates'"):
        mcnemar_test(np.zeros(3, bool), np.zeros(3, bool), method="yates")  # type: ignore[arg-type]


def test_copies_of_each_scan_are_no_new_evidence() -> None:
    rng = np.random.default_rng(4)
    target = rng.random(90) < 0.5
    latent = rng.normal(size=90)
    first, second = (latent + rng.normal(size=90) + s * target for s in (1.6, 0.9))
    single = auc_difference(target, first, second, Sampling(np.arange(90)))
    patient = np.tile(np.arange(90), 4)
    copies = [np.tile(values, 4) for values in (target, first, second)]
    fourfold = auc_difference(*copies, Sampling(patient, n_bootstrap=4000))
    naive = delong_test(*copies)
    assert (single.method, fourfold.method) == ("DeLong, paired", "patient bootstrap")
    assert fourfold.difference.value == pytest.approx(single.difference.value)
    assert single.p_value is not None
    assert naive.p_value is not None
    assert fourfold.p_value == pytest.approx(single.p_value, abs=0.02)
    assert naive.p_value < single.p_value / 10
    widths = [
        test.difference.high - test.difference.low  # type: ignore[operator]
        for test in (single, fourfold)
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_shares_of_patients_with_several_scans() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(60) < 0.85, rng.random(60) < 0.65
    single = proportion_difference(first, second, np.ones(60, bool), Sampling(np.arange(60)))
    patient = np.repeat(np.arange(60), 3)
    sampling = Sampling(patient, n_bootstrap=4000)
    among = np.ones(180, bool)
    threefold = proportion_difference(np.repeat(first, 3), np.repeat(second, 3), among, sampling)
    assert (single.method, threefold.method) == ("McNemar, exact", "patient bootstrap")
    assert threefold.difference.value == pytest.approx(single.difference.value)
    assert threefold.difference.low == pytest.approx(single.difference.low, abs=0.03)
    assert threefold.difference.high == pytest.approx(single.difference.high, abs=0.03)
    same = proportion_difference(among, among, among, sampling)
    assert (same.p_value, same.difference.value) == (None, 0)
    assert same.difference.high == pytest.approx(paired_interval(60, 0, 0, 0)[1])
