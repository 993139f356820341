"""Holm's correction, bootstrap tests and how a p-value is written."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from covidlit.evaluation.bootstrap import Sampling, weighted_auc
from covidlit.evaluation.difference import (
    DifferenceTest,
    bootstrap_test,
    corrected,
    format_p,
    holm,
)
from covidlit.evaluation.estimate import Estimate


def test_holm_published_examples() -> None:
    # pingouin's documentation of `holm`.
    found = holm([0.50, 0.003, 0.32, 0.054, 0.0003])
    assert found == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015])
    # SAS/STAT User's Guide, PROC MULTTEST, "Inputting Raw p-Values": 24 tests.
    raw = [
        0.28282, 0.30688, 0.71022, 0.77175, 0.78180, 0.88581, 0.54685, 0.84978, 0.24228, 0.58977,
        0.03498, 0.41607, 0.31631, 0.05254, 0.45061, 0.75758, 0.12496, 0.49485, 0.21572, 0.50505,
        0.94372, 0.81260, 0.77596, 0.36889,
    ]  # fmt: skip
    assert holm(raw) == pytest.approx([0.8395 if p == 0.03498 else 1 for p in raw], abs=5e-5)


@pytest.mark.parametrize("seed", range(10))
def test_holm_equals_statsmodels_and_its_definition_on_random_families(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = np.round(rng.random(rng.integers(1, 12)) ** 3, 2)  # with ties
    found = holm(raw.tolist())
    assert found == pytest.approx(multipletests(raw, method="holm")[1])
    for level in (0.011, 0.051, 0.13, 0.31):
        rejected = np.zeros(len(raw), bool)
        for step, place in enumerate(np.argsort(raw, kind="stable")):
            if raw[place] > level / (len(raw) - step):
                break
            rejected[place] = True
        assert [p is not None and p <= level for p in found] == rejected.tolist()


def test_an_undefined_test_counts_as_one_of_its_family() -> None:
    assert holm([]) == []
    assert holm([0.01, None]) == [pytest.approx(0.02), None]
    tests = [
        DifferenceTest(Estimate(0.1, 0.0, 0.2, 9, "m"), None, 0.03, "m", 9),
        DifferenceTest.undefined("no positive scan", "m"),
    ]
    assert [test.p_holm for test in corrected(tests)] == [pytest.approx(0.06), None]
    assert tests[0].p_holm is None


@pytest.mark.parametrize("seed", range(3))
def test_bootstrap_interval_equals_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 80
    target = np.arange(n) < 30
    first, second = (np.round(rng.normal(size=n) + s * target, 1) for s in (1.5, 0.8))

    def difference(weights: np.ndarray) -> np.ndarray:
        return weighted_auc(target, first, weights) - weighted_auc(target, second, weights)

    def drawn(rows: np.ndarray, axis: int) -> np.ndarray:
        flat = rows.reshape(-1, n).astype(int)
        weights = np.stack([np.bincount(row, minlength=n) for row in flat]).astype(float)
        return difference(weights).reshape(rows.shape[:-1])

    value = float(difference(np.ones((1, n)))[0])
    sampling = Sampling(np.arange(n), n_bootstrap=6000, seed=seed)
    test = bootstrap_test(value, sampling.distribution(difference), sampling)
    wanted = stats.bootstrap(
        (np.arange(n),), drawn, n_resamples=6000, method="percentile", vectorized=True, rng=seed
    ).confidence_interval
    width = wanted.high - wanted.low
    assert test.difference.low == pytest.approx(wanted.low, abs=0.06 * width)
    assert test.difference.high == pytest.approx(wanted.high, abs=0.06 * width)


def test_bootstrap_p_value_inverts_the_interval() -> None:
    sampling = Sampling(np.arange(50), n_bootstrap=2000)
    replicates = np.random.default_rng(0).normal(2, 1, 2000)
    p_value = bootstrap_test(2.0, replicates, sampling).p_value
    assert p_value == pytest.approx(2 * stats.norm.sf(2), abs=0.015)
    assert p_value is not None
    for level, excluded in ((1 - 1.1 * p_value, True), (1 - 0.9 * p_value, False)):
        low, high = Sampling(np.arange(50), level).percentile(replicates) or (0, 0)
        assert (low > 0 or high < 0) == excluded
    far = bootstrap_test(9.0, replicates + 9, sampling)
    assert far.p_value == pytest.approx(2 / 2001)
    assert bootstrap_test(0.0, np.r_[replicates - 2, 2 - replicates], sampling).p_value == 1


def test_a_bootstrap_that_does_not_vary_gives_no_test() -> None:
    sampling = Sampling(np.array(["one"] * 5))
    for replicates in (np.zeros(100), np.full(100, np.nan), np.r_[1.0, np.full(99, np.nan)]):
        test = bootstrap_test(0.0, replicates, sampling)
        assert (test.p_value, test.difference.low) == (None, None)
        assert test.reason == test.difference.reason
        assert test.reason


@pytest.mark.parametrize(
    ("p_value", "text"),
    [
        (0.0123, "p = 0.012"),
        (3.6e-4, "p < 0.001"),
        (0.0496, "p = 0.0496"),
        (0.0504, "p = 0.0504"),
        (0.05, "p = 0.050"),
        (1.0, "p = 1.000"),
        (None, "p undefined"),
    ],
)
def test_p_values_are_written_so_that_they_can_be_judged(p_value: float | None, text: str) -> None:
    assert format_p(p_value) == text


def test_no_nan_gets_into_a_result() -> None:
    estimate = Estimate(0.1, 0.0, 0.2, 9, "m")
    with pytest.raises(ValueError, match="p_value must be finite"):
        DifferenceTest(estimate, None, float("nan"), "m", 9)
    with pytest.raises(ValueError, match="needs a reason"):
        DifferenceTest(estimate, None, None, "m", 9)
    record = DifferenceTest(estimate, 2.0, 0.01, "m", 9).to_dict()
    assert record["difference"]["value"] == 0.1
    assert "reason" not in record
