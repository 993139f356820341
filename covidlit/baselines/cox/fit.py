"""Cox's proportional hazards model, plain or with a ridge penalty, on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.duration.hazard_regression import PHReg

from covidlit.baselines.cox.fitted import CoxFit
from covidlit.baselines.survival.hazards import RiskSets
from covidlit.counted import counted

Floats = NDArray[np.float64]

FEW_EVENTS = 10
"""Events per variable below which coefficients are unsteady (Peduzzi et al., J Clin Epidemiol
1995;48:1503)."""

_ROUNDS = 100
_TINY = 1e-9
_BOUND, _STOP = 8.0, 30.0
"""Coefficients per standard deviation: beyond the first one counts as without a finite value (e^8
is 3,000), at the second the search ends."""


def fit_cox(
    x: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    *,
    penalty: float = 0.0,
    names: Sequence[str] | None = None,
) -> CoxFit:
    """Fit by Newton's method on statsmodels' partial likelihood, ties by Efron's.

    What is maximised is log partial likelihood / n - penalty / 2 * sum of squared coefficients, as
    lifelines defines its penalizer; so covariates should be on one scale. A model without an event,
    or with covariates that do not vary, is fitted as far as there is something to fit, and says so.

    Args:
        x: (n, p) covariates, finite.
        time: (n,) not negative.
        event: (n,) 1 for an event, 0 for censoring.
        penalty: of the squares; 0: none.
        names: of the covariates, for sentences.

    Source: Cox, JRSS B 1972;34:187; Efron, JASA 1977;72:557.
    """
    x, time = np.asarray(x, dtype=float), np.asarray(time, dtype=float)
    event = np.asarray(event).astype(int)
    n, p = x.shape
    called = (
        [f"covariate {k}" for k in range(p)] if names is None else [str(name) for name in names]
    )
    n_events = int(event.sum())
    beta, covariance = np.zeros(p), np.full((p, p), np.nan)
    if not n_events:
        text = f"none of {n} patients has the event: no hazard can be estimated, all risks are 0"
        none = np.zeros(0)
        return CoxFit(beta, covariance, 0.0, none, none, n, 0, np.zeros(p, bool), (text,))
    problems = []
    if n_events == n:
        problems.append(f"all {n} patients have the event: there is no censoring")
    spread = x.std(axis=0)
    varies = spread > 1e-12 * np.maximum(1.0, np.abs(x).max(axis=0, initial=0))
    if not varies.all():
        still = ", ".join(name for name, v in zip(called, varies, strict=True) if not v)
        problems.append(f"the same in all patients, hence without a coefficient: {still}")
    value = 0.0
    if varies.any():
        model = PHReg(time, x[:, varies], status=event, ties="efron")
        own, information, value = _maximum(model, n * penalty, spread[varies])
        beta[varies] = own
        which = [name for name, v in zip(called, varies, strict=True) if v]
        said, steady = _unbounded(own * spread[varies], which)
        covered, more = _inverse(information, steady, spread[varies])
        problems += [*said, *more]
        covariance[np.ix_(varies, varies)] = covered
    if varies.any() and _is_separated(x @ beta, time, event):
        text = (
            "complete separation: at each event it is the patient with the highest risk who has it"
        )
        if not penalty:
            text += ", so that coefficients have no finite value (model.penalty=0.01 gives one)"
        problems.append(text)
        if not penalty:
            covariance[:] = np.nan
    fitted = varies.copy()
    each = n_events / max(1, int(fitted.sum()))
    if each < FEW_EVENTS:
        problems.append(
            f"{counted(n_events, 'event')} for {counted(int(fitted.sum()), 'variable')}, "
            f"{each:.1f} each: below "
            f"{FEW_EVENTS} coefficients are unsteady and a good fit means little"
        )
    times, hazard = RiskSets(time, event).baseline(x @ beta)
    return CoxFit(
        beta, covariance, value, times, hazard, n, n_events, fitted, tuple(problems)
    )  # fmt: skip


def _maximum(model: PHReg, penalty: float, spread: Floats) -> tuple[Floats, Floats, float]:
    """Coefficients, information and log partial likelihood at the maximum."""
    beta = np.zeros(len(spread))

    def height(at: Floats) -> float:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value = float(model.loglike(at)) - penalty / 2 * float(at @ at)
        return value if np.isfinite(value) else -np.inf

    best = height(beta)
    information = np.eye(len(beta))
    for _ in range(_ROUNDS):
        information = -np.asarray(model.hessian(beta)) + penalty * np.eye(len(beta))
        slope = np.asarray(model.score(beta)) - penalty * beta
        step = np.linalg.lstsq(information, slope, rcond=1e-12)[0]
        if float(slope @ step) < _TINY:
            break
        share = 1.0
        while share > 1e-6 and height(beta + share * step) < best:
            share /= 2
        if share <= 1e-6 or (np.abs((beta + share * step) * spread) > _STOP).any():
            break
        beta = beta + share * step
        best = height(beta)
    return beta, information, float(model.loglike(beta))


def _unbounded(per_sd: Floats, names: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
    """What is said of coefficients that grow without bound, and which are not among them."""
    wild = np.abs(per_sd) > _BOUND
    if not wild.any():
        return [], ~wild
    which = ", ".join(name for name, w in zip(names, wild, strict=True) if w)
    return [f"the coefficient has no finite value: {which}"], ~wild


def _inverse(
    information: Floats, steady: NDArray[np.bool_], spread: Floats
) -> tuple[Floats, list[str]]:
    """The covariance, NaN where the data say nothing of a coefficient."""
    found = np.full(information.shape, np.nan)
    values = np.linalg.eigvalsh(information / np.outer(spread, spread))
    if values[0] <= 1e-8 * max(values[-1], 1e-12):
        if steady.all():
            return found, [
                "the covariates are not independent of each other (collinear): single coefficients "
                "mean nothing; a penalty (model.penalty=0.01) or fewer features help"
            ]
        return found, []
    return np.where(np.outer(steady, steady), np.linalg.inv(information), np.nan), []


def _is_separated(risk: Floats, time: Floats, event: NDArray[np.integer]) -> bool:
    """Whether nobody at risk at an event has a higher risk than who has it, and some a lower."""
    order = np.argsort(-time, kind="stable")
    later = np.maximum.accumulate(risk[order])
    lower = np.minimum.accumulate(risk[order])
    place = np.searchsorted(-time[order], -time, side="right") - 1  # all with at least this time
    top = (risk >= later[place] - _TINY) | (event == 0)
    outlived = (event == 1) & (lower[place] < risk - _TINY)
    return bool(top.all() and outlived.sum() >= 2)
