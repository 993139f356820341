"""DeLong against the published example, scikit-learn, SciPy; intervals at the boundary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from covidlit.evaluation.auc import auc_estimate, sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.delong import delong_covariance
from covidlit.evaluation.newcombe import newcombe_interval
from covidlit.evaluation.paired import delong_test

# The 43 complete ones of 49 patients with ovarian cancer of DeLong et al., Biometrics 1988;44:837,
# as listed in the SAS/STAT User's Guide, PROC LOGISTIC, "Comparing Receiver Operating
# Characteristic Curves": albumin, total protein, K-G score (taken as 10 - score), popind.
OVARIAN_TEXT = """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0
    2.5 5.7 8 0   1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1
    4.1 6.6 5 1   3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
    4.0 6.6 6 0   3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6 6 1   4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1
    3.3 6.8 6 0   1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
    2.9 5.7 9 0   2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
    3.6 6.6 5 1
"""
OVARIAN = np.array(OVARIAN_TEXT.split(), dtype=float).reshape(-1, 4)
ALBUMIN, PROTEIN, KG = OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2]
BENEFIT = OVARIAN[:, 3].astype(int)


@pytest.mark.parametrize(
    ("score", "published"),  # SAS: area, standard error, 95% Wald confidence limits
    [
        (ALBUMIN, (0.7366, 0.0927, 0.5549, 0.9182)),
        (KG, (0.7258, 0.1028, 0.5243, 0.9273)),
        (PROTEIN, (0.6478, 0.1000, 0.4518, 0.8439)),
    ],
    ids=["albumin", "K-G score", "total protein"],
)
def test_published_example_one_curve(
    score: np.ndarray, published: tuple[float, float, float, float]
) -> None:
    auc, covariance = delong_covariance(BENEFIT, score)
    estimate = auc_estimate(BENEFIT, score)
    found = (auc[0], np.sqrt(covariance[0, 0]), estimate.low, estimate.high)
    np.testing.assert_allclose(found, published, atol=5.1e-5)
    assert (estimate.method, estimate.n) == ("DeLong", 43)


def test_published_example_comparison_of_the_three_curves() -> None:
    auc, covariance = delong_covariance(BENEFIT, np.stack([KG, ALBUMIN, PROTEIN]))
    contrast = np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    difference, spread = contrast @ auc, contrast @ covariance @ contrast.T
    chi_square = difference @ np.linalg.solve(spread, difference)
    assert chi_square == pytest.approx(2.5340, abs=5e-5)
    assert stats.chi2.sf(chi_square, 2) == pytest.approx(0.2817, abs=5e-5)
    np.testing.assert_allclose(difference, [0.0108, -0.0780], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(spread)), [0.0953, 0.1046], atol=5e-5)


@pytest.mark.parametrize(
    ("score", "difference", "error"), [(ALBUMIN, 0.0108, 0.0953), (PROTEIN, -0.0780, 0.1046)]
)
def test_published_example_paired_test(score: np.ndarray, difference: float, error: float) -> None:
    test = delong_test(BENEFIT, score, KG)
    assert test.statistic is not None
    assert test.difference.value is not None
    assert test.difference.value == pytest.approx(difference, abs=5e-5)
    assert test.difference.value / test.statistic == pytest.approx(error, abs=5e-5)


@pytest.mark.parametrize("decimals", [1, 15], ids=["many ties", "no ties"])
def test_auc_equals_scikit_learn_and_mann_whitney(decimals: int) -> None:
    rng = np.random.default_rng(3)
    target = rng.random(150) < 0.4
    score = np.round(rng.random(150) * 0.7 + 0.3 * target, decimals)
    auc, _ = delong_covariance(target, score)
    assert auc[0] == pytest.approx(roc_auc_score(target, score), abs=1e-12)
    u = stats.mannwhitneyu(score[target], score[~target]).statistic
    assert auc[0] == pytest.approx(u / (target.sum() * (~target).sum()), abs=1e-12)


def test_covariance_equals_the_definition_by_pairs() -> None:
    rng = np.random.default_rng(0)
    target = np.arange(40) < 15
    scores = np.round(rng.normal(size=(2, 40)) + target, 1)
    _, covariance = delong_covariance(target, scores)
    kernel = [
        (s[target][:, None] > s[~target]) + 0.5 * (s[target][:, None] == s[~target]) for s in scores
    ]
    over_positives = np.cov([k.mean(axis=1) for k in kernel]) / 15
    over_negatives = np.cov([k.mean(axis=0) for k in kernel]) / 25
    np.testing.assert_allclose(covariance, over_positives + over_negatives, atol=1e-12)


def test_delong_interval_covers_the_truth_at_its_level() -> None:
    truth, hits = stats.norm.cdf(1.0 / np.sqrt(2)), 0
    rng = np.random.default_rng(1)
    target = np.arange(120) < 50
    for _ in range(400):
        estimate = auc_estimate(target, rng.normal(size=120) + target)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= truth <= estimate.high
    assert 0.91 <= hits / 400 <= 0.98


def test_logit_interval_stays_inside_where_wald_is_cut() -> None:
    target = np.array([0] * 10 + [1] * 10)
    score = np.r_[np.linspace(0, 0.5, 10), np.linspace(0.47, 1, 10)]
    wald, logit = (
        auc_estimate(target, score, interval=kind) for kind in ("delong", "delong-logit")
    )
    assert wald.high == 1.0
    assert logit.high is not None
    assert logit.low is not None
    assert logit.low < wald.value < logit.high < 1.0


@pytest.mark.parametrize(
    ("score", "auc"),
    [(np.arange(30) / 30, 1.0), (-np.arange(30) / 30, 0.0), (np.full(30, 0.5), 0.5)],
    ids=["perfect", "inverted", "constant"],
)
def test_no_interval_of_zero_width(score: np.ndarray, auc: float) -> None:
    estimate = auc_estimate(np.arange(30) >= 15, score)
    assert estimate.value == auc
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.high - estimate.low > 0.1
    assert estimate.low <= auc <= estimate.high
    assert "Newcombe" in estimate.method


def test_newcombe_limits_solve_the_defining_equation_and_shrink_with_n() -> None:
    z = stats.norm.ppf(0.975)
    for auc in (1.0, 0.9, 0.5):
        m, n = 20, 30
        for theta in newcombe_interval(auc, m, n):
            if theta in (0.0, 1.0):
                continue
            q1, q2, k = theta / (2 - theta), 2 * theta**2 / (1 + theta), (m + n) / 2 - 1
            # Hanley and McNeil, Radiology 1982;143:29, both sample sizes replaced by their mean.
            variance = theta * (1 - theta) + k * (q1 - theta**2) + k * (q2 - theta**2)
            assert (theta - auc) ** 2 == pytest.approx(z**2 * variance / (m * n), rel=1e-6)
    assert newcombe_interval(1.0, 200, 300)[0] > newcombe_interval(1.0, 20, 30)[0]
    low, high = newcombe_interval(0.3, 20, 30)
    mirrored = newcombe_interval(0.7, 20, 30)
    assert (1 - high, 1 - low) == pytest.approx(mirrored)


def test_one_class_is_undefined_with_a_reason() -> None:
    estimate = auc_estimate(np.ones(5), np.arange(5.0))
    assert estimate.value is None
    assert estimate.reason == "no negative scan"


def test_a_score_that_is_no_number_is_undefined_with_a_reason() -> None:
    estimate = auc_estimate(np.arange(4) > 1, np.array([0.1, np.nan, 0.4, np.nan]))
    assert (estimate.value, estimate.reason) == (None, "2 of 4 scores are not numbers")


def test_copies_of_each_scan_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(5)
    target = rng.random(80) < 0.5
    score = rng.normal(size=80) + 0.8 * target
    single = sampled_auc(target, score, Sampling(np.arange(80)))
    fourfold = sampled_auc(
        np.tile(target, 4), np.tile(score, 4), Sampling(np.tile(np.arange(80), 4))
    )
    assert single.low is not None
    assert single.high is not None
    assert fourfold.low is not None
    assert fourfold.high is not None
    assert fourfold.value == pytest.approx(single.value)
    assert fourfold.method.startswith("patient bootstrap")
    assert fourfold.high - fourfold.low == pytest.approx(single.high - single.low, rel=0.1)


@pytest.mark.parametrize("values", [2, 5, 1000], ids=["two scores", "many ties", "few ties"])
def test_random_tables_equal_the_definition_by_pairs(values: int) -> None:
    rng = np.random.default_rng(values)
    for _ in range(200):
        m, n = (int(size) for size in rng.integers(2, 40, size=2))
        target = rng.permutation(np.arange(m + n) < m)
        score = rng.integers(values, size=m + n) / values
        positive, negative = score[target], score[~target]
        kernel = np.array([[(p > q) + (p == q) / 2 for q in negative] for p in positive])
        area = kernel.sum() / (m * n)
        over_positives = ((kernel.sum(axis=1) / n - area) ** 2).sum() / (m - 1)
        over_negatives = ((kernel.sum(axis=0) / m - area) ** 2).sum() / (n - 1)
        auc, covariance = delong_covariance(target, score)
        assert auc[0] == pytest.approx(area, abs=1e-12)
        wanted = over_positives / m + over_negatives / n
        assert covariance[0, 0] == pytest.approx(wanted, abs=1e-12)
