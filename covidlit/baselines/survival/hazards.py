"""Relative hazards of patients under observation: partial likelihood and baseline hazard."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class RiskSets:
    """Who is under observation at which event; ties as Breslow's.

    Args:
        time: (n,) of the event or the last news.
        event: (n,) 1 for an event, 0 for censoring. Who is censored at the time of an event is at
            risk of it.
    """

    def __init__(self, time: ArrayLike, event: ArrayLike) -> None:
        time = np.asarray(time, dtype=float)
        self.event = np.asarray(event).astype(bool)
        self._order = np.argsort(time, kind="stable")
        self.times, self._starts = np.unique(time[self._order], return_index=True)
        self._place = np.searchsorted(self.times, time)
        self._events = np.add.reduceat(self.event[self._order].astype(float), self._starts)

    def loss(self, log_hazard: ArrayLike) -> float:
        """The negative log partial likelihood of relative hazards.

        Args:
            log_hazard: (n,).

        Source: Cox, JRSS B 1972;34:187; ties: Breslow, Biometrics 1974;30:89.
        """
        score = np.asarray(log_hazard, dtype=float)
        at_risk, shift = self._at_risk(score)
        happens = self._events > 0
        whole = self._events[happens] @ (np.log(at_risk[happens]) + shift)
        return float(whole - score[self.event].sum())

    def derivatives(self, log_hazard: ArrayLike) -> tuple[Floats, Floats]:
        """First and second derivatives (n,) of `loss` by each row's log hazard.

        The second are the diagonal of the matrix of second derivatives, as boosting takes them.
        """
        score = np.asarray(log_hazard, dtype=float)
        at_risk, shift = self._at_risk(score)
        own = np.exp(score - shift)
        with np.errstate(divide="ignore", invalid="ignore"):
            once = np.where(self._events > 0, self._events / at_risk, 0.0)
            twice = np.where(self._events > 0, self._events / at_risk**2, 0.0)
        expected = own * np.cumsum(once)[self._place]
        return expected - self.event, expected - own**2 * np.cumsum(twice)[self._place]

    def baseline(self, log_hazard: ArrayLike) -> tuple[Floats, Floats]:
        """Distinct times (k,), and Breslow's cumulative hazard (k,) at a log hazard of 0."""
        at_risk, shift = self._at_risk(np.asarray(log_hazard, dtype=float))
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(self._events > 0, self._events / at_risk, 0.0) * np.exp(-shift)
        return self.times, np.cumsum(steps)

    def _at_risk(self, score: Floats) -> tuple[Floats, float]:
        """Summed hazards (k,) at each time, less a factor exp(shift) that keeps them finite."""
        shift = float(score.max(initial=0.0))
        hazard = np.exp(score - shift)[self._order]
        return np.add.reduceat(hazard, self._starts)[::-1].cumsum()[::-1], shift


def risk_until(times: Floats, hazard: Floats, log_hazard: Floats, horizon: float) -> Floats:
    """(n,) probability of the event until a time.

    Args:
        times, hazard: (k,) of a cumulative baseline hazard; see `RiskSets.baseline`.
        log_hazard: (n,) relative to the baseline.
        horizon: time.
    """
    place = int(np.searchsorted(times, horizon, side="right"))
    base = hazard[place - 1] if place else 0.0
    with np.errstate(over="ignore"):
        found: Floats = -np.expm1(-base * np.exp(log_hazard))
    return found
