"""Ratios of sums over slices, with intervals from a bootstrap of patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling, Weights
from covidlit.evaluation.estimate import Estimate

METHOD = "patient bootstrap, percentile"
_FLAT = "every sample of patients gives the same value"


def ratio_estimate(
    top: NDArray[np.floating],
    bottom: NDArray[np.floating],
    sampling: Sampling,
    nothing: str,
    n: int | None = None,
) -> Estimate:
    """Sum of `top` by sum of `bottom`, both of shape (slices,).

    Args:
        top, bottom: of each slice.
        sampling: of the slices.
        nothing: the reason where all of `bottom` is 0.
        n: slices that the value rests on; by default those whose `bottom` is not 0.
    """
    top, bottom = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    n = int((bottom != 0).sum()) if n is None else n
    if bottom.sum() == 0:
        return Estimate.undefined(nothing)
    value = float(top.sum() / bottom.sum())

    def ratio(weights: Weights) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (weights @ top) / (weights @ bottom)
        return found

    if sampling.n_patients < 2:
        return Estimate(value, None, None, n, "none", ONE_PATIENT)
    return interval_of(value, sampling.distribution(ratio), sampling, n)


def interval_of(
    value: float, replicates: NDArray[np.floating], sampling: Sampling, n: int
) -> Estimate:
    """A value with the percentile interval of its replicates."""
    if sampling.n_patients < 2:
        return Estimate(value, None, None, n, "none", ONE_PATIENT)
    found = sampling.percentile(replicates, value)
    if found is None:
        return Estimate(value, None, None, n, "none", _FLAT)
    return Estimate(value, *found, n, METHOD)
