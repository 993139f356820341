"""Product-limit curves of times to an event with censoring: survival, censoring, incidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StepCurve:
    """A function of time that is constant between its steps.

    Attributes:
        times: (k,) the steps, ascending.
        values: (..., k) from each step on.
        start: value before the first step.
    """

    times: Floats
    values: Floats
    start: float = 1.0

    def at(self, when: ArrayLike) -> Floats:
        """(..., m) values at m times, those of a step with it."""
        return self._of(np.searchsorted(self.times, np.asarray(when, dtype=float), side="right"))

    def before(self, when: ArrayLike) -> Floats:
        """(..., m) values just before m times."""
        return self._of(np.searchsorted(self.times, np.asarray(when, dtype=float), side="left"))

    def _of(self, steps: NDArray[np.intp]) -> Floats:
        first = np.full((*self.values.shape[:-1], 1), self.start)
        return np.concatenate([first, self.values], axis=-1)[..., steps]


@dataclass(frozen=True)
class KaplanMeier:
    """A survival curve.

    Attributes:
        times: (k,) distinct times, of events and censoring.
        at_risk: (k,) under observation just before each.
        events: (k,) at each.
        survival: (k,) from each on.
        low, high: (k,) ends of the pointwise interval; NaN where there is none.
    """

    times: Floats
    at_risk: Floats
    events: Floats
    survival: Floats
    low: Floats
    high: Floats

    @property
    def curve(self) -> StepCurve:
        """The survival as a function of time."""
        return StepCurve(self.times, self.survival)

    @property
    def median(self) -> float | None:
        """The first time at which at most half survive; None where more than half do."""
        reached = np.flatnonzero(self.survival <= 0.5 + 1e-12)
        return float(self.times[reached[0]]) if len(reached) else None

    def number_at_risk(self, when: ArrayLike) -> NDArray[np.int64]:
        """(m,) under observation just before m times."""
        place = np.searchsorted(self.times, np.asarray(when, dtype=float), side="left")
        return np.append(self.at_risk, 0)[place].astype(np.int64)


def kaplan_meier(time: ArrayLike, event: ArrayLike, confidence: float = 0.95) -> KaplanMeier:
    """The Kaplan-Meier estimate with Greenwood's variance on the log(-log) scale.

    Who is censored at the time of an event counts as at risk of it.

    Args:
        time: (n,) of the event or of the last news.
        event: (n,) 1 for an event, 0 for censoring.
        confidence: level of the interval.

    Source: Kaplan and Meier, JASA 1958;53:457; Kalbfleisch and Prentice, The Statistical Analysis
    of Failure Time Data, 2002, section 1.4.
    """
    times, events, _, at_risk = counts(time, event)
    survival = _product(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(events / (at_risk * (at_risk - events)))
        spread = np.sqrt(variance) / np.log(survival) * stats.norm.ppf(0.5 + confidence / 2)
        ends = survival ** np.exp(-spread), survival ** np.exp(spread)
    inside = (survival > 0) & (survival < 1)
    low, high = (np.where(inside, end, np.nan) for end in ends)
    return KaplanMeier(times, at_risk, events, survival, low, high)


def survival_curve(
    time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None
) -> StepCurve:
    """The Kaplan-Meier estimate alone.

    Args:
        time, event: (n,).
        weights: (n,) or (b, n), how often each counts; b curves at once.
    """
    times, events, _, at_risk = counts(time, event, weights)
    return StepCurve(times, _product(1 - _share(events, at_risk)))


def censoring_curve(
    time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None
) -> StepCurve:
    """The share that is not censored yet, whatever else happens: 1 over it weighs who is seen.

    At equal times events come first, so that who has one is not at risk of censoring then.

    Args:
        time, event: (n,).
        weights: (n,) or (b, n), how often each counts; b curves at once.
    """
    times, events, censored, at_risk = counts(time, event, weights)
    return StepCurve(times, _product(1 - _share(censored, at_risk - events)))


def cumulative_incidence(time: ArrayLike, cause: ArrayLike, of: int = 1) -> StepCurve:
    """Share that has had one kind of event, where another kind rules it out (Aalen-Johansen).

    Args:
        time: (n,).
        cause: (n,) 0 for censoring, 1, 2, ... for kinds of events.
        of: the kind.

    Source: Aalen and Johansen, Scandinavian Journal of Statistics 1978;5:141.
    """
    cause = np.asarray(cause)
    times, every, _, at_risk = counts(time, cause > 0)
    own = counts(time, cause == of)[1]
    survival = StepCurve(times, _product(1 - every / at_risk))
    return StepCurve(times, np.cumsum(survival.before(times) * own / at_risk), start=0.0)


def counts(
    time: ArrayLike, event: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Distinct times (k,), and at each the events, the censored and those at risk, (..., k)."""
    time, event = np.asarray(time, dtype=float), np.asarray(event).astype(bool)
    weight = np.ones(len(time)) if weights is None else np.asarray(weights, dtype=float)
    if not len(time):
        empty = np.zeros((*weight.shape[:-1], 0))
        return np.zeros(0), empty, empty, empty
    order = np.argsort(time, kind="stable")
    times, starts = np.unique(time[order], return_index=True)
    sorted_weight, died = weight[..., order], event[order]
    events = np.add.reduceat(sorted_weight * died, starts, axis=-1)
    censored = np.add.reduceat(sorted_weight * ~died, starts, axis=-1)
    leaving = events + censored
    at_risk = np.cumsum(leaving[..., ::-1], axis=-1)[..., ::-1]
    return times, events, censored, at_risk


def _product(factors: Floats) -> Floats:
    return np.asarray(np.cumprod(factors, axis=-1), dtype=np.float64)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 1e-12)
