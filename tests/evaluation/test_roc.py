"""ROC curve against scikit-learn; its band covers the true curve and never closes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.roc import roc_curve


@pytest.mark.parametrize("decimals", [1, 15])
def test_points_equal_scikit_learn(decimals: int) -> None:
    rng = np.random.default_rng(0)
    target = rng.random(100) < 0.4
    score = np.round(rng.random(100), decimals)
    roc = roc_curve(target, score, Sampling.independent(100))
    fpr, tpr, threshold = sk.roc_curve(target, score, drop_intermediate=False)
    np.testing.assert_allclose(roc.fpr, fpr)
    np.testing.assert_allclose(roc.tpr, tpr)
    np.testing.assert_allclose(roc.threshold, threshold)


def test_band_is_ordered_rising_and_holds_the_curve() -> None:
    rng = np.random.default_rng(1)
    target = rng.random(200) < 0.5
    roc = roc_curve(target, rng.normal(size=200) + target, Sampling.independent(200))
    assert (np.diff(roc.low) >= 0).all()
    assert (np.diff(roc.high) >= 0).all()
    assert (roc.low < roc.high).all()
    for x, y in zip(roc.fpr, roc.tpr, strict=True):
        near = np.abs(roc.grid - x) <= 0.0051
        assert roc.low[near].min() <= y <= roc.high[near].max()


def test_band_covers_the_true_sensitivity_at_its_level() -> None:
    rng = np.random.default_rng(2)
    target = np.arange(150) < 60
    hits = np.zeros(201)
    for _ in range(300):
        roc = roc_curve(target, rng.normal(size=150) + 1.2 * target, Sampling.independent(150))
        true = stats.norm.sf(stats.norm.isf(roc.grid) - 1.2)
        hits += (roc.low <= true) & (true <= roc.high)
    assert (hits / 300 >= 0.93).all()


@pytest.mark.parametrize("clustered", [False, True])
def test_band_of_a_perfect_curve_stays_open(clustered: bool) -> None:
    target = np.arange(40) < 20
    patient = np.arange(40) // 2 if clustered else np.arange(40)
    roc = roc_curve(target, target.astype(float), Sampling(patient, n_bootstrap=200))
    assert roc.low[roc.grid == 0.0] < 0.85
    assert roc.high[roc.grid == 0.0] == 1.0


def test_one_class_raises() -> None:
    with pytest.raises(ValueError, match="both classes"):
        roc_curve(np.ones(4), np.arange(4.0), Sampling.independent(4))
