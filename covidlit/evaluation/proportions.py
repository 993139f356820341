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

    Of a repeated cross-validation it is the share of the decisions of all repeats. Where a patient
    has one scan, the interval is Wilson's with `effective_size`; `n` is the number of scans, and
    there is no `count`.
    """
    n, count = int(among.sum()), int((success & among).sum())
    if n == 0:
        return Estimate.undefined(nothing)
    if sampling.repeated and not sampling.single_patient and not sampling.several_scans:
        size = float(effective_size((success & among)[:, None], among, sampling)[0])
        low, high = wilson(count / n * size, size, sampling.confidence)
        rows = sampling.per_repeat(n)
        return Estimate(count / n, float(low), float(high), rows, "Wilson, by patient")
    known = None if sampling.repeated else count
    if not sampling.clustered:
        low, high = wilson(count, n, sampling.confidence)
        return Estimate(count / n, float(low), float(high), n, "Wilson", count=count)
    if sampling.single_patient:
        rows = sampling.per_repeat(n)
        return Estimate(count / n, None, None, rows, "none", ONE_PATIENT, count=known)
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
    return Estimate(count / n, *interval, sampling.per_repeat(n), method, count=known)


def effective_size(
    success: NDArray[np.bool_], among: NDArray[np.bool_], sampling: Sampling
) -> NDArray[np.float64]:
    """Independent scans that would tell a share as surely as rows of which patients have several.

    p (1 - p) over the variance of the share between patients, at most the number of rows; where
    that variance is 0 and says nothing (p is 0 or 1), the number of patients. Of rows that are
    copies of each other it is the number of patients.

    Args:
        success: shape (n, t), t shares of the same rows.
        among: shape (n,), the rows that count.
        sampling: how the n rows were sampled.

    Returns:
        Shape (t,).

    Source: Rao and Scott, Biometrics 1992;48:577; Korn and Graubard, Survey Methodology
    1998;24:193.
    """
    n, patients = int(among.sum()), sampling.count_patients(among)
    hit = success & among[:, None]
    share = hit.sum(axis=0) / n
    moves = np.zeros((sampling.n_patients, hit.shape[1]))
    for column in range(hit.shape[1]):
        moves[:, column] = sampling.sum_by_patient(
            np.where(among, hit[:, column] - share[column], 0.0)
        )
    variance = (moves**2).sum(axis=0) / n**2
    plain = share * (1 - share)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(variance > 1e-12 * plain, plain / variance, float(n))
    return np.where(plain > 0, np.minimum(size, float(n)), float(patients))
