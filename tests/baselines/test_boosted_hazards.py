"""Boosted trees of the hazard on arrays: the likelihood, what is learnt, and what cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from statsmodels.duration.hazard_regression import PHReg

from covidlit.baselines import BoostedTrees
from covidlit.baselines.cox.fit import fit_cox
from covidlit.baselines.survival.boosted_fit import fit_boosted_hazards
from covidlit.baselines.survival.boosted_hazards import BoostedHazards
from covidlit.baselines.survival.hazards import RiskSets
from covidlit.evaluation.survival.concordance import concordance
from covidlit.evaluation.survival.horizons import observed_risk

PRESET = BoostedTrees().get_params()
PATIENT = st.tuples(
    st.integers(1, 6), st.booleans(), st.floats(-3, 3, allow_nan=False, allow_subnormal=False)
)


def linear(x: np.ndarray) -> np.ndarray:
    return x[:, 0] - 0.5 * x[:, 1]


def bent(x: np.ndarray) -> np.ndarray:
    """What no linear model can follow."""
    return 1.5 * np.abs(x[:, 0]) + (x[:, 1] > 0) * (x[:, 2] > 0)


def cohort(n: int, seed: int, log_hazard: Any = linear) -> tuple[np.ndarray, ...]:
    """Features, times, events and the log hazards that made them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    truth = log_hazard(x)
    latent, censored = rng.exponential(20 * np.exp(-truth)), rng.exponential(30, n)
    return x, np.minimum(latent, censored), (latent <= censored).astype(int), truth


def fitted(x: np.ndarray, time: Any, event: Any, **settings: Any) -> BoostedHazards:
    return fit_boosted_hazards(x, time, event, np.arange(len(x)), PRESET, **settings)


@given(st.lists(PATIENT, min_size=2, max_size=12))
def test_derivatives_are_those_of_the_likelihood(patients: list[tuple[int, bool, float]]) -> None:
    time, event, score = (np.array(each, dtype=float) for each in zip(*patients, strict=True))
    sets = RiskSets(time, event)
    first, second = sets.derivatives(score)
    np.testing.assert_allclose(first, approx_fprime(score, sets.loss, 1e-6), atol=1e-4)
    step = 1e-4 * np.eye(len(score))
    curved = [(sets.loss(score + h) - 2 * sets.loss(score) + sets.loss(score - h)) / 1e-8
              for h in step]  # fmt: skip
    np.testing.assert_allclose(second, curved, atol=1e-4)
    assert (second > -1e-12).all()


def test_the_likelihood_is_that_of_statsmodels_with_ties() -> None:
    _, time, event, truth = cohort(80, 0)
    time = np.ceil(time)
    model = PHReg(time, truth[:, None], status=event, ties="breslow")
    zero = RiskSets(time, event).loss(np.zeros(80))
    for factor in (0.5, 1.0, 2.0):
        ours = RiskSets(time, event).loss(factor * truth) - zero
        theirs = model.loglike(np.zeros(1)) - model.loglike(np.array([factor]))
        assert ours == pytest.approx(float(theirs))


def test_large_log_hazards_stay_finite() -> None:
    sets = RiskSets([1.0, 2, 3, 4], [1, 0, 1, 1])
    assert np.isfinite([*sets.derivatives([800.0, -800, 799, 0])]).all()
    assert np.isfinite(sets.loss([800.0, -800, 799, 0]))


def test_the_baseline_of_equal_hazards_is_nelson_and_aalens() -> None:
    times, hazard = RiskSets([2.0, 1, 2, 4, 5], [1, 1, 1, 0, 1]).baseline(np.zeros(5))
    assert times.tolist() == [1, 2, 4, 5]
    np.testing.assert_allclose(hazard, [1 / 5, 1 / 5 + 2 / 4, 0.7, 1.7])


def test_a_linear_risk_is_found_nearly_as_well_as_by_cox() -> None:
    x, time, event, _ = cohort(400, 1)
    new, later, whether, truth = cohort(1500, 2)
    ours = concordance(later, whether, fitted(x, time, event).log_hazard(new))
    assert ours > concordance(later, whether, truth) - 0.02
    assert ours > concordance(later, whether, fit_cox(x, time, event).log_hazard(new)) - 0.02


def test_a_bent_risk_is_found_where_cox_finds_nothing() -> None:
    x, time, event, _ = cohort(400, 1, bent)
    new, later, whether, truth = cohort(1500, 2, bent)
    ours = concordance(later, whether, fitted(x, time, event).log_hazard(new))
    assert ours > concordance(later, whether, truth) - 0.04
    assert concordance(later, whether, fit_cox(x, time, event).log_hazard(new)) < 0.6


@pytest.mark.parametrize("form", [linear, bent])
def test_risks_hold_in_new_patients(form: Any) -> None:
    x, time, event, _ = cohort(600, 1, form)
    new, later, whether, _ = cohort(3000, 2, form)
    risk = fitted(x, time, event).risk(new, 10)
    fifth = np.searchsorted(np.quantile(risk, [0.2, 0.4, 0.6, 0.8]), risk)
    for own in (fifth == 0, fifth == 2, fifth == 4):
        seen = observed_risk(later[own], whether[own], 10)
        assert risk[own].mean() == pytest.approx(seen, abs=0.07)


def test_where_nothing_tells_the_event_risks_are_nearly_alike() -> None:
    x, time, event, _ = cohort(150, 5, lambda x: 0 * x[:, 0])
    held = fitted(x, time, event)
    risk, sure = held.risk(x, 10), fitted(x, time, event, n_folds=0).risk(x, 10)
    assert np.ptp(risk) < 0.3 < 0.6 < np.ptp(sure)
    assert held.factor < 0.3


def test_missing_values_are_taken_as_they_are() -> None:
    x, time, event, _ = cohort(300, 3)
    x[::3, 0] = np.nan
    new, later, whether, _ = cohort(800, 4)
    found = fitted(x, time, event).log_hazard(np.where(np.arange(800)[:, None] % 2, new, np.nan))
    assert np.isfinite(found).all()
    assert len(np.unique(found[::2])) == 1
    assert concordance(later[1::2], whether[1::2], found[1::2]) > 0.65


def test_rows_of_one_patient_are_held_back_together() -> None:
    x, time, event, _ = cohort(60, 6)
    rows = [np.repeat(each, 3, axis=0) for each in (x, time, event)]
    same = fit_boosted_hazards(*rows, np.repeat(np.arange(60), 3), PRESET)
    apart = fit_boosted_hazards(*rows, np.arange(180), PRESET)
    assert concordance(rows[1], rows[2], apart.held_back) > 0.8  # its twins are learnt
    assert concordance(rows[1], rows[2], same.held_back) < 0.75


def said(found: BoostedHazards) -> str:
    return "; ".join(found.problems)


def test_no_event() -> None:
    x, time, *_ = cohort(30, 0)
    found = fitted(x, time, np.zeros(30))
    assert "none of 30 patients has the event" in said(found)
    assert found.risk(x, 10).tolist() == [0.0] * 30


def test_all_events() -> None:
    x, time, *_ = cohort(200, 0)
    found = fitted(x, time, np.ones(200))
    assert said(found) == "all 200 patients have the event: there is no censoring"
    assert np.ptp(found.log_hazard(x)) > 0.5


def test_few_events_have_fewer_folds_or_none() -> None:
    x, time, event, _ = cohort(80, 0)
    few = event * (np.cumsum(event) <= 3)
    assert "3 events are too few for 5 folds of patients held back: there are 3" in said(
        fitted(x, time, few)
    )
    one = fitted(x, time, event * (np.cumsum(event) <= 1))
    assert one.n_folds == 0
    assert "1 event is too few" in said(one)
    assert "predicted risks are too extreme" in said(one)


def test_few_held_back_events_hardly_change_how_steep_risks_are() -> None:
    rng = np.random.default_rng(0)
    x, time = rng.normal(size=(30, 3)), np.arange(1.0, 31)
    found = fitted(x, time, time < 3)
    assert found.n_folds == 2
    assert found.factor == pytest.approx(1, abs=0.3)


def test_one_row_is_no_error() -> None:
    found = fitted(np.ones((1, 2)), [3.0], [1])
    assert "no tree finds a split" in said(found)
    assert np.isfinite(found.risk(np.ones((1, 2)), 3)).all()


def test_nothing_varies() -> None:
    found = fitted(np.ones((40, 2)), np.arange(1.0, 41), np.arange(40) % 2)
    assert "no tree finds a split with 4 rows on either side" in said(found)
    risk = found.risk(np.ones((3, 2)), 20)
    assert len(set(risk.tolist())) == 1
    assert 0 < risk[0] < 1


def test_an_order_that_does_not_hold_is_said() -> None:
    for seed in range(20):
        x, time, event, _ = cohort(60, seed, lambda x: 0 * x[:, 0])
        found = fitted(x, time, event)
        if found.factor == 0.01:
            assert "does not hold in patients held back" in said(found)
            assert np.ptp(found.risk(x, 10)) < 0.05
            return
    pytest.fail("none of 20 tables without a signal was found out")
