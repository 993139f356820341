"""How well risks hold until a given time: AUC, Brier score, calibration, with censoring."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covidlit.evaluation.survival.product_limit import StepCurve, censoring_curve, survival_curve

Floats = NDArray[np.float64]


def horizon_problem(time: ArrayLike, event: ArrayLike, horizon: float) -> str | None:
    """Why nothing can be said of a horizon: no event until then, or nobody is followed so long."""
    time, event = np.asarray(time, dtype=float), np.asarray(event).astype(bool)
    if not (event & (time <= horizon)).any():
        return f"nobody has the event within {horizon:g} days"
    if not _without_event(time, event, horizon).any():
        return f"nobody is under observation for more than {horizon:g} days"
    return None


def cumulative_dynamic_auc(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    horizon: float,
    weights: ArrayLike | None = None,
) -> Floats:
    """AUC between those with the event until the horizon and those still without it then.

    Who was censored before the horizon is in neither group; those with the event are weighted by 1
    over the share that was not censored just before their time, which makes up for it where
    censoring does not depend on the risk.

    Args:
        time, event: (n,).
        risk: (n,), higher means earlier.
        horizon: time.
        weights: (b, n), how often each patient counts.

    Returns:
        Shape (b,), or () without weights; NaN where a group is empty.

    Source: Uno et al., JASA 2007;102:527; Hung and Chiang, Canadian Journal of Statistics
    2010;38:8.
    """
    time, event, risk = _arrays(time, event, risk)
    weight = np.ones((1, len(time))) if weights is None else np.asarray(weights, dtype=float)
    case = weight * _inverse(censoring_curve(time, event, weight), time, event, horizon)
    control = weight * _without_event(time, event, horizon)
    order = np.argsort(risk, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(risk[order]) > 0])
    up = np.add.reduceat(case[:, order], starts, axis=1)
    down = np.add.reduceat(control[:, order], starts, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (up * below).sum(axis=1) / (up.sum(axis=1) * down.sum(axis=1))
    return found if weights is not None else found[0]


def brier_score(
    time: ArrayLike,
    event: ArrayLike,
    predicted: ArrayLike,
    horizon: float,
    weights: ArrayLike | None = None,
) -> Floats:
    """Mean squared difference of predicted risk and what was seen at the horizon, weighted.

    Args:
        time, event: (n,).
        predicted: (n,) probability of the event until the horizon.
        horizon: time.
        weights: (b, n), how often each patient counts.

    Returns:
        Shape (b,), or () without weights.

    Source: Graf et al., Statistics in Medicine 1999;18:2529.
    """
    time, event, predicted = _arrays(time, event, predicted)
    weight = np.ones((1, len(time))) if weights is None else np.asarray(weights, dtype=float)
    found = _brier(time, event, np.broadcast_to(predicted, weight.shape), horizon, weight)
    return found if weights is not None else found[0]


def brier_score_of_all_alike(
    time: ArrayLike, event: ArrayLike, horizon: float, weights: ArrayLike | None = None
) -> Floats:
    """The Brier score where everybody is given the Kaplan-Meier risk of all; see `brier_score`."""
    time, event, _ = _arrays(time, event, time)
    weight = np.ones((1, len(time))) if weights is None else np.asarray(weights, dtype=float)
    risk = 1 - survival_curve(time, event, weight).at([horizon])
    found = _brier(time, event, np.broadcast_to(risk, weight.shape), horizon, weight)
    return found if weights is not None else found[0]


def observed_risk(
    time: ArrayLike, event: ArrayLike, horizon: float, weights: ArrayLike | None = None
) -> Floats:
    """Share with the event until the horizon (1 - Kaplan-Meier): (b,), or () without weights."""
    return 1 - survival_curve(time, event, weights).at([horizon])[..., 0]


def quantile_groups(values: ArrayLike, n_groups: int) -> NDArray[np.int64]:
    """(n,) group of each value, 0 for the lowest; equal values stand in one group."""
    values = np.asarray(values, dtype=float)
    cuts = np.unique(np.quantile(values, np.linspace(0, 1, n_groups + 1)[1:-1]))
    return np.unique(np.searchsorted(cuts, values, side="left"), return_inverse=True)[1]


def _without_event(time: Floats, event: NDArray[np.generic], horizon: float) -> NDArray[np.bool_]:
    """Who is known to be without the event at the horizon.

    Where the follow-up of everybody ends there, as that of a label rule with a horizon does, those
    whose ended on that very day have been followed until it.
    """
    beyond = time > horizon
    return beyond if beyond.any() else (time == horizon) & (event == 0)


def _arrays(time: ArrayLike, event: ArrayLike, other: ArrayLike) -> tuple[Floats, Floats, Floats]:
    return (
        np.asarray(time, dtype=float),
        np.asarray(event).astype(float),
        np.asarray(other, dtype=float),
    )


def _inverse(censoring: StepCurve, time: Floats, event: Floats, horizon: float) -> Floats:
    """(b, n) weights of those with the event until the horizon, 0 of the others."""
    seen = (event > 0) & (time <= horizon)
    share = censoring.before(np.where(seen, time, -np.inf))
    return np.where(seen & (share > 0), 1 / np.where(share > 0, share, 1), 0.0)


def _brier(
    time: Floats, event: Floats, predicted: Floats, horizon: float, weight: Floats
) -> Floats:
    censoring = censoring_curve(time, event, weight)
    case = _inverse(censoring, time, event, horizon)
    # Where all are followed to the horizon at most, those who left on its day count as followed.
    still = censoring.at([horizon]) if (time > horizon).any() else censoring.before([horizon])
    without = _without_event(time, event, horizon)
    control = np.where(without & (still > 0), 1 / np.where(still > 0, still, 1), 0.0)
    error = case * (1 - predicted) ** 2 + control * predicted**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (weight * error).sum(axis=1) / weight.sum(axis=1)
