"""Concordance, time-dependent AUC, Brier score: by hand, and without censoring as scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from covidlit.evaluation.survival.concordance import concordance, pair_counts
from covidlit.evaluation.survival.horizons import (
    brier_score,
    brier_score_of_all_alike,
    cumulative_dynamic_auc,
    horizon_problem,
    observed_risk,
    quantile_groups,
)

# lifelines 0.30.3: concordance_index(TIME, -AGE, EVENT)
TIME = np.array([5, 6, 6, 2, 4, 4, 9, 12, 1, 8, 10, 7], float)
EVENT = np.array([1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0])
AGE = np.array([50, 61, 70, 80, 75, 55, 40, 48, 90, 52, 45, 66], float)


def _pair(time: float, other: float, event: int, other_event: int) -> bool:
    """Whether the first has the event while the other is still under observation."""
    return bool(event) and (time < other or (time == other and not other_event))


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_concordance_counts_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 25))
    time, event, risk = rng.integers(0, 6, n), rng.integers(0, 2, n), rng.integers(0, 4, n)
    right = pairs = 0.0
    for i in range(n):
        for j in range(n):
            if i != j and _pair(time[i], time[j], event[i], event[j]):
                pairs += 1
                right += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    found = concordance(time, event, risk)
    assert np.isnan(found) if not pairs else found == pytest.approx(right / pairs)
    assert sum(pair_counts(time, event, risk)) == pairs


def test_concordance_of_lifelines() -> None:
    assert concordance(TIME, EVENT, AGE) == pytest.approx(0.8431372549019608)


def test_concordance_of_weights_is_that_of_copies() -> None:
    often = np.array([[0, 2, 1, 1, 3, 0, 1, 1, 2, 0, 1, 2], np.ones(12)])
    copies = [np.repeat(each, often[0].astype(int)) for each in (TIME, EVENT, AGE)]
    found = concordance(TIME, EVENT, AGE, often)
    assert found[0] == pytest.approx(concordance(*copies))
    assert found[1] == pytest.approx(concordance(TIME, EVENT, AGE))


def test_by_hand_with_one_censored() -> None:
    # The one censored at day 2 leaves 2 of 3: whoever has the event at day 3 counts 3/2.
    time, event = [1, 2, 3, 4], [1, 0, 1, 1]
    risk = [0.2, 0.3, 0.9, 0.5]
    assert cumulative_dynamic_auc(time, event, risk, 3.5) == pytest.approx(1.5 / 2.5)
    expected = (0.8**2 + 1.5 * 0.1**2 + 1.5 * 0.5**2) / 4
    assert brier_score(time, event, risk, 3.5) == pytest.approx(expected)
    assert observed_risk(time, event, 3.5) == pytest.approx(1 - 3 / 4 * 1 / 2)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_without_censoring_they_are_those_of_classes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, risk = rng.integers(1, 20, 30), np.round(rng.random(30), 1)
    event, late = np.ones(30, int), time > 10
    if late.all() or not late.any():
        return
    auc = cumulative_dynamic_auc(time, event, risk, 10)
    assert auc == pytest.approx(roc_auc_score(~late, risk))
    assert brier_score(time, event, risk, 10) == pytest.approx(brier_score_loss(~late, risk))
    share = np.full(30, (~late).mean())
    assert brier_score_of_all_alike(time, event, 10) == pytest.approx(
        brier_score_loss(~late, share)
    )


def test_independent_censoring_leaves_the_auc_and_the_brier_score() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    x = rng.normal(size=n)
    latent, censored = rng.exponential(10 * np.exp(-x)), rng.exponential(15, n)
    risk = 1 - np.exp(-8 / 10 * np.exp(x))
    time, event = np.minimum(latent, censored), latent <= censored
    whole = np.ones(n, int)
    assert cumulative_dynamic_auc(time, event, x, 8) == pytest.approx(
        cumulative_dynamic_auc(latent, whole, x, 8), abs=0.01
    )
    assert brier_score(time, event, risk, 8) == pytest.approx(
        brier_score(latent, whole, risk, 8), abs=0.005
    )


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_follow_up_that_ends_at_the_horizon_says_what_a_longer_one_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, risk = rng.exponential(8, 40) + 0.01, rng.random(40)
    event = (rng.random(40) < 0.6).astype(int)
    event[time > 10] = 1
    cut, before = np.minimum(time, 10), np.where(time > 10, 0, event)
    if horizon_problem(time, event, 10) is not None:
        return
    assert horizon_problem(cut, before, 10) is None
    auc = cumulative_dynamic_auc(time, event, risk, 10)
    assert cumulative_dynamic_auc(cut, before, risk, 10) == pytest.approx(auc, nan_ok=True)
    brier = brier_score(time, event, risk, 10)
    assert brier_score(cut, before, risk, 10) == pytest.approx(brier)
    assert observed_risk(cut, before, 10) == pytest.approx(observed_risk(time, event, 10))


def test_a_horizon_that_says_nothing_is_named() -> None:
    assert "nobody has the event within 0.5 days" in str(horizon_problem(TIME, EVENT, 0.5))
    assert "for more than 12 days" in str(horizon_problem(TIME, EVENT, 12))
    assert horizon_problem(TIME, EVENT, 6) is None


def test_equal_risks_stand_in_one_group() -> None:
    assert quantile_groups([0.1] * 8, 5).tolist() == [0] * 8
    assert quantile_groups([1, 2, 3, 4, 5, 6], 3).tolist() == [0, 0, 1, 1, 2, 2]
