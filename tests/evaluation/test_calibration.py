"""Calibration against statsmodels, scikit-learn and known miscalibration."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.metrics import brier_score_loss

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.calibration import (
    calibration,
    calibration_bins,
    logit,
    recalibration,
)


def _sample(n: int, slope: float, intercept: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose true probabilities are expit(intercept + slope * logit(score))."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-rng.normal(0, 1.5, n)))
    truth = 1 / (1 + np.exp(-(intercept + slope * logit(score))))
    return rng.random(n) < truth, score


def test_recalibration_equals_statsmodels() -> None:
    target, score = _sample(300, 0.6, -0.4)
    found = recalibration(target, score, np.ones((1, 300)))[0]
    fit = sm.Logit(target.astype(float), sm.add_constant(logit(score))).fit(disp=0)
    np.testing.assert_allclose(found[:2], fit.params[::-1], atol=1e-6)
    family = sm.families.Binomial()
    offset = sm.GLM(target.astype(float), np.ones(300), family=family, offset=logit(score)).fit()
    assert found[2] == pytest.approx(offset.params[0], abs=1e-6)


def test_weighted_recalibration_equals_a_fit_on_the_repeated_scans() -> None:
    target, score = _sample(120, 1.3, 0.2)
    weights = np.random.default_rng(1).integers(0, 4, size=(1, 120)).astype(float)
    rows = np.repeat(np.arange(120), weights[0].astype(int))
    fit = sm.Logit(target[rows].astype(float), sm.add_constant(logit(score[rows]))).fit(disp=0)
    found = recalibration(target, score, weights)[0]
    np.testing.assert_allclose(found[:2], fit.params[::-1], atol=1e-6)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.0), (2.0, -1.0)])
def test_known_miscalibration_is_found_within_its_interval(slope: float, intercept: float) -> None:
    target, score = _sample(4000, slope, intercept, seed=4)
    record = calibration(target, score, Sampling(np.arange(4000), n_bootstrap=300))
    for name, truth in (("slope", slope), ("intercept", intercept)):
        assert record[name]["low"] < truth < record[name]["high"]
        assert record[name]["high"] - record[name]["low"] < 0.4


def test_brier_equals_scikit_learn_and_its_scaled_form_the_definition() -> None:
    target, score = _sample(200, 1.0, 0.0)
    record = calibration(target, score, Sampling(np.arange(200), n_bootstrap=200))
    brier = brier_score_loss(target, score)
    assert record["brier"]["value"] == pytest.approx(brier)
    share = target.mean()
    assert record["scaled_brier"]["value"] == pytest.approx(1 - brier / (share * (1 - share)))


def test_ece_of_a_constant_score_is_its_distance_from_the_prevalence() -> None:
    target = np.arange(100) < 30
    record = calibration(target, np.full(100, 0.8), Sampling(np.arange(100), n_bootstrap=200))
    assert record["ece"]["value"] == pytest.approx(0.5)
    assert len(record["curve"]) == 1
    assert record["ece"]["low"] < 0.5 < record["ece"]["high"]


def test_ece_of_calibrated_scores_is_near_what_chance_gives() -> None:
    target, score = _sample(2000, 1.0, 0.0, seed=7)
    record = calibration(target, score, Sampling(np.arange(2000), n_bootstrap=200))
    assert record["ece"]["value"] == pytest.approx(record["ece_if_perfect"], abs=0.015)
    assert record["ece_if_perfect"] > 0.005
    assert [point["n"] for point in record["curve"]] == [200] * 10


def test_chance_miscalibrates_more_where_scans_come_in_threes() -> None:
    target, score = _sample(600, 1.0, 0.0, seed=7)
    single, threes = (
        calibration(target, score, Sampling(np.arange(600) // size, n_bootstrap=100))
        for size in (1, 3)
    )
    assert threes["ece_if_perfect"] > 1.05 * single["ece_if_perfect"]


def test_bins_have_equal_size_and_never_split_equal_scores() -> None:
    assert np.bincount(calibration_bins(np.random.default_rng(0).random(100))).tolist() == [10] * 10
    tied = np.r_[np.full(60, 0.2), np.linspace(0.3, 0.9, 40)]
    bins = calibration_bins(tied)
    assert len(set(bins[:60])) == 1
    assert len(np.unique(calibration_bins(np.arange(12.0)))) == 2


def test_perfect_separation_leaves_the_slope_undefined_with_a_reason() -> None:
    target = np.arange(40) < 20
    score = np.where(target, 0.8, 0.2) + np.linspace(0, 0.05, 40)
    record = calibration(target, score, Sampling(np.arange(40), n_bootstrap=100))
    assert record["slope"]["value"] is None
    assert "separate" in record["slope"]["reason"]
    assert record["brier"]["value"] < 0.1


@pytest.mark.parametrize("score", [0.5, 0.123, 0.0])
def test_scores_that_do_not_vary_leave_the_slope_undefined_with_a_reason(score: float) -> None:
    target = np.arange(100) < 30
    record = calibration(target, np.full(100, score), Sampling(np.arange(100), n_bootstrap=200))
    for name in ("slope", "intercept"):
        assert record[name]["value"] is None
        assert record[name]["reason"] == "the scores do not vary"
    large = record["calibration_in_the_large"]
    assert large["low"] < large["value"] < large["high"]
    assert large["value"] == pytest.approx(
        float(logit(np.array([0.3]))[0] - logit(np.array([score]))[0])
    )
    # In some replicates the rounding of the sums makes up a slope.
    weights = np.random.default_rng(0).integers(0, 4, (200, 100)).astype(float)
    assert np.isnan(recalibration(target, np.full(100, score), weights)[:, :2]).all()
