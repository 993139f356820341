"""Intervals of proportions: Wilson for independent scans, patient bootstrap otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import proportion_confint

from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling, Weights
from covidlit.evaluation.estimate import Estimate


def wilson(
    count: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson score interval of count / n, elementwise; n must be positive.

    Source: Wilson, JASA 1927;22:209, as in statsmodels.
    """
    count, n = np.asarray(count, dtype=float), np.asarray(n, dtype=float)
    low, high = proportion_confint(count, n, 1 - confidence, method="wilson")
    # The ends are exact at the boundary, but for rounding.
    return np.where(count <= 0, 0.0, low), np.where(count >= n, 1.0, high)


def proportion(
    success: NDArray[np.bool_],
    among: NDArray[np.bool_],
    sampling: Sampling,
    nothing: str = "no such scan",
) -> Estimate:
    """The share of `success` among the scans where `among` is true (both of shape (n,)).

    With several scans of a patient the interval is a patient bootstrap; where that has no width
    (the share is 0 or 1), it is Wilson's with the number of patients as n, which is never too
    narrow; scans of one patient alone give none. `nothing` is the reason given if no scan is in
    `among`.
    """
    n, count = int(among.sum()), int((success & among).sum())
    if n == 0:
        return Estimate.undefined(nothing)
    if not sampling.clustered:
        low, high = wilson(count, n, sampling.confidence)
        return Estimate(count / n, float(low), float(high), n, "Wilson", count=count)
    if sampling.single_patient:
        return Estimate(count / n, None, None, n, "none", ONE_PATIENT, count=count)
    top, bottom = (success & among).astype(float), among.astype(float)

    def share(weights: Weights) -> NDArray[np.float64]:
        return (weights @ top) / (weights @ bottom)

    interval = sampling.percentile(sampling.distribution(share), count / n)
    if interval is None:
        patients = sampling.count_patients(among)
        low, high = wilson(count / n * patients, patients, sampling.confidence)
        interval, method = (float(low), float(high)), "Wilson with n = patients"
    else:
        method = "patient bootstrap, percentile"
    return Estimate(count / n, *interval, n, method, count=count)
