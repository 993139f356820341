"""What a fit of Cox's model gives: coefficients, their certainty, and risks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from covidlit.baselines.survival.hazards import risk_until

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CoxFit:
    """What was fitted.

    Attributes:
        coefficients: (p,) log hazard ratios per unit; 0 for what could not be fitted.
        covariance: (p, p) inverse of the (penalised) information; NaN where there is none.
        log_likelihood: partial, without the penalty.
        times, hazard: (k,) of Breslow's cumulative baseline hazard, at covariates 0.
        n, n_events: rows and events.
        fitted: (p,) which have a coefficient.
        problems: sentences on what could not be fitted, or only just.
    """

    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    times: Floats
    hazard: Floats
    n: int
    n_events: int
    fitted: NDArray[np.bool_]
    problems: tuple[str, ...] = field(default=())

    @property
    def standard_errors(self) -> Floats:
        """(p,) NaN where there is none."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.covariance))

    @property
    def p_values(self) -> Floats:
        """(p,) of Wald's test; NaN where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = self.coefficients / self.standard_errors
        return 2 * np.asarray(ndtr(-np.abs(z)))

    @property
    def events_per_variable(self) -> float:
        """Events for each covariate with a coefficient."""
        return self.n_events / max(1, int(self.fitted.sum()))

    def log_hazard(self, x: ArrayLike) -> Floats:
        """(n,) log hazard relative to covariates 0."""
        return np.asarray(x, dtype=float) @ self.coefficients

    def risk(self, x: ArrayLike, horizon: float) -> Floats:
        """(n,) probability of the event until a time."""
        return risk_until(self.times, self.hazard, self.log_hazard(x), horizon)
