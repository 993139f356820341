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
        happens = self._events > 0
        whole = self._events[happens] @ self._log_at_risk(score)[happens]
        return float(whole - score[self.event].sum())

    def derivatives(self, log_hazard: ArrayLike) -> tuple[Floats, Floats]:
        """First and second derivatives (n,) of `loss` by each row's log hazard.

        The second are the diagonal of the matrix of second derivatives, as boosting takes them.
        """
        score = np.asarray(log_hazard, dtype=float)
        log_at_risk = self._log_at_risk(score)
        once, twice = (self._log_sums(power * log_at_risk)[self._place] for power in (1, 2))
        expected = np.exp(score + once)
        return expected - self.event, expected - np.exp(2 * score + twice)

    def baseline(self, log_hazard: ArrayLike) -> tuple[Floats, Floats]:
        """Distinct times (k,), and Breslow's cumulative hazard (k,) at a log hazard of 0."""
        log_at_risk = self._log_at_risk(np.asarray(log_hazard, dtype=float))
        with np.errstate(over="ignore"):
            return self.times, np.exp(self._log_sums(log_at_risk))

    def _log_at_risk(self, score: Floats) -> Floats:
        """Logarithm of the summed hazards (k,) of those at risk at each time."""
        found: Floats = np.logaddexp.accumulate(score[self._order][::-1])[::-1][self._starts]
        return found

    def _log_sums(self, log_weight: Floats) -> Floats:
        """Logarithm of the sums (k,), up to each time, of events / exp(log_weight)."""
        with np.errstate(divide="ignore"):
            found: Floats = np.logaddexp.accumulate(np.log(self._events) - log_weight)
        return found


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
