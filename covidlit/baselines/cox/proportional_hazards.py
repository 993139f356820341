"""Whether hazards are proportional: scaled Schoenfeld residuals against time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from covidlit.baselines.cox.fitted import CoxFit
from covidlit.counted import counted

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HazardCheck:
    """The check of each covariate.

    Attributes:
        statistic: (p,) chi-squared with one degree of freedom; NaN where undefined.
        p_value: (p,).
        correlation: (p,) of the scaled residuals with the rank of time: above 0, the effect grows.
        reason: why nothing is defined; None where something is.
    """

    statistic: Floats
    p_value: Floats
    correlation: Floats
    reason: str | None = None


def check_proportional_hazards(
    x: ArrayLike, time: ArrayLike, event: ArrayLike, fit: CoxFit
) -> HazardCheck:
    """Grambsch and Therneau's test of each covariate, against the ranks of the event times.

    Args:
        x, time, event: as the model was fitted to.
        fit: the model.

    Source: Grambsch and Therneau, Biometrika 1994;81:515.
    """
    x, time = np.asarray(x, dtype=float), np.asarray(time, dtype=float)
    event = np.asarray(event).astype(bool)
    p = x.shape[1]
    none = np.full(p, np.nan)
    if fit.n_events < 3:
        return HazardCheck(
            none, none, none, f"{counted(fit.n_events, 'event is', 'events are')} too few"
        )
    steady = np.isfinite(np.diag(fit.covariance))
    if not steady.any():
        return HazardCheck(none, none, none, "the coefficients have no covariance")
    residuals = schoenfeld_residuals(x, time, event, fit)
    own = np.flatnonzero(steady)
    covariance = fit.covariance[np.ix_(own, own)]
    scaled = fit.n_events * residuals[:, own] @ covariance
    rank = stats.rankdata(time[event])
    rank = rank - rank.mean()
    if not rank.any():
        return HazardCheck(none, none, none, "all events are at one time")
    statistic, correlation = none.copy(), none.copy()
    spread = fit.n_events * np.diag(covariance) * (rank**2).sum()
    statistic[own] = (rank @ scaled) ** 2 / spread
    centred = scaled - scaled.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0) * (rank**2).sum())
    correlation[own] = np.divide(rank @ centred, size, out=np.zeros(len(own)), where=size > 0)
    return HazardCheck(statistic, np.asarray(stats.chi2.sf(statistic, 1)), correlation)


def schoenfeld_residuals(x: ArrayLike, time: ArrayLike, event: ArrayLike, fit: CoxFit) -> Floats:
    """(events, p) covariates of who has an event less their weighted mean among those at risk.

    In the order of the rows with an event. Events at one time have one mean (Breslow).
    """
    x, time = np.asarray(x, dtype=float), np.asarray(time, dtype=float)
    event = np.asarray(event).astype(bool)
    risk = fit.log_hazard(x)
    weight = np.exp(risk - risk.max())
    order = np.argsort(-time, kind="stable")
    whole = np.cumsum(weight[order])
    sums = np.cumsum(weight[order, None] * x[order], axis=0)
    place = np.searchsorted(-time[order], -time[event], side="right") - 1
    return x[event] - sums[place] / whole[place, None]
