"""Cox's model on arrays: lifelines' values, recovered coefficients, and what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest

from covidlit.baselines.cox.fit import fit_cox
from covidlit.baselines.cox.fitted import CoxFit
from covidlit.baselines.cox.proportional_hazards import (
    check_proportional_hazards,
    schoenfeld_residuals,
)

# lifelines 0.30.3: CoxPHFitter(penalizer=p).fit(table, "T", "E", fit_options={"precision": 1e-12})
TIME = np.array([5, 6, 6, 2, 4, 4, 9, 12, 1, 8, 10, 7], float)
EVENT = np.array([1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0])
X = np.array(
    [[50, 61, 70, 80, 75, 55, 40, 48, 90, 52, 45, 66], [1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0]], float
).T
Z = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)


def cohort(n: int, seed: int = 0, p: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    latent = rng.exponential(20 * np.exp(-x[:, 0] + 0.5 * x[:, -1]))
    censored = rng.exponential(30, n)
    return x, np.minimum(latent, censored), (latent <= censored).astype(int)


def test_plain_as_lifelines_with_ties() -> None:
    fit = fit_cox(X, TIME, EVENT)
    np.testing.assert_allclose(fit.coefficients, [0.09172070068529, 1.74197608067621], atol=1e-6)
    np.testing.assert_allclose(fit.standard_errors, [0.04500042457613, 1.10523364754507], atol=1e-5)
    assert fit.log_likelihood == pytest.approx(-8.435079476565683)


def test_penalised_as_lifelines() -> None:
    fit = fit_cox(Z, TIME, EVENT, penalty=0.1)
    np.testing.assert_allclose(fit.coefficients, [0.98690112661352, 0.72629115873684], atol=1e-6)
    np.testing.assert_allclose(fit.standard_errors, [0.49168525759720, 0.43626169726998], atol=1e-6)
    expected = [[0.220704, 0.118044, 0.592844, 0.345925], [0.42384, 0.242508, 0.862867, 0.608857]]
    np.testing.assert_allclose([fit.risk(Z, 4)[:4], fit.risk(Z, 8)[:4]], expected, atol=1e-5)
    assert fit.risk(Z, 0.5).tolist() == [0.0] * 12  # before the first event


def test_it_finds_the_coefficients_that_made_the_times() -> None:
    x, time, event = cohort(3000)
    fit = fit_cox(x, time, event)
    np.testing.assert_allclose(fit.coefficients, [1.0, -0.5], atol=0.08)
    assert fit.problems == ()
    assert check_proportional_hazards(x, time, event, fit).p_value.min() > 0.01


def test_an_effect_that_fades_is_against_proportional_hazards() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(800, 2))
    early = rng.exponential(10 * np.exp(-1.5 * x[:, 0]))
    time = np.where(early < 5, early, 5 + rng.exponential(10, 800))  # no effect after day 5
    fit = fit_cox(x, time, np.ones(800))
    check = check_proportional_hazards(x, time, np.ones(800), fit)
    assert check.p_value[0] < 1e-6
    assert check.correlation[0] < 0
    assert check.p_value[1] > 0.01


def test_schoenfeld_residuals_of_a_plain_fit_sum_to_nothing() -> None:
    x, time, event = cohort(200)
    residuals = schoenfeld_residuals(x, time, event, fit_cox(x, time, event))
    np.testing.assert_allclose(residuals.sum(axis=0), 0, atol=1e-6)


def said(fit: CoxFit) -> str:
    return "; ".join(fit.problems)


def test_no_event() -> None:
    x, time, _ = cohort(30)
    fit = fit_cox(x, time, np.zeros(30))
    assert "none of 30 patients has the event" in said(fit)
    assert fit.risk(x, 10).tolist() == [0.0] * 30
    check = check_proportional_hazards(x, time, np.zeros(30), fit)
    assert check.reason == "0 events are too few"


def test_all_events() -> None:
    x, time, _ = cohort(300)
    fit = fit_cox(x, time, np.ones(300))
    assert said(fit) == "all 300 patients have the event: there is no censoring"
    assert np.isfinite(fit.p_values).all()


def test_a_constant_covariate_has_no_coefficient() -> None:
    x, time, event = cohort(200)
    fit = fit_cox(np.c_[x, np.full(200, 3.0)], time, event, names=["a", "b", "c"])
    assert "without a coefficient: c" in said(fit)
    alone = fit_cox(x, time, event)
    np.testing.assert_allclose(fit.coefficients, [*alone.coefficients, 0.0], atol=1e-8)
    assert np.isnan(fit.p_values[2])


def test_nothing_varies() -> None:
    fit = fit_cox(np.ones((6, 2)), [1, 2, 3, 4, 5, 6], [1, 0, 1, 0, 1, 0])
    assert fit.coefficients.tolist() == [0.0, 0.0]
    assert len(set(fit.risk(np.ones((6, 2)), 3).tolist())) == 1


@pytest.mark.parametrize("penalty", [0.0, 0.01])
def test_complete_separation_is_said(penalty: float) -> None:
    time = np.arange(1.0, 31.0)
    x = -time[:, None] / 10  # who is highest has the event next
    fit = fit_cox(x, time, np.ones(30), penalty=penalty, names=["age"])
    assert "complete separation" in said(fit)
    assert np.isfinite(fit.coefficients).all()
    assert np.isnan(fit.p_values[0]) == (penalty == 0)


def test_a_group_without_an_event_has_no_finite_coefficient() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], 40)
    event = np.where(group == 1, 1, 0)
    time = rng.exponential(10, 80)
    fit = fit_cox(np.c_[group, rng.normal(size=80)], time, event, names=["group", "x"])
    assert "the coefficient has no finite value: group" in said(fit)
    assert np.isnan(fit.p_values[0])
    assert np.isfinite(fit_cox(group[:, None], time, event, penalty=0.01).p_values).all()


def test_collinear_covariates_are_said() -> None:
    x, time, event = cohort(200)
    fit = fit_cox(np.c_[x, x[:, 0]], time, event)
    assert "collinear" in said(fit)
    assert np.isnan(fit.p_values).all()
    one = fit_cox(x, time, event)
    np.testing.assert_allclose(fit.log_likelihood, one.log_likelihood, atol=1e-6)


def test_few_events_for_many_covariates_are_said() -> None:
    x, time, event = cohort(60, p=10)
    event[np.flatnonzero(event)[6:]] = 0
    fit = fit_cox(x, time, event, penalty=0.01)
    assert "6 events for 10 variables, 0.6 each" in said(fit)
