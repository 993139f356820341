"""Area under the ROC curve, with intervals that survive the boundary."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling, Weights, weighted_auc
from covidlit.evaluation.cross_validation import fold_aucs
from covidlit.evaluation.delong import delong_covariance
from covidlit.evaluation.estimate import Estimate, logit_interval
from covidlit.evaluation.newcombe import newcombe_interval

AucInterval = Literal["delong", "delong-logit"]


def auc_estimate(
    target: NDArray[np.generic],
    score: NDArray[np.floating],
    confidence: float = 0.95,
    interval: AucInterval = "delong",
) -> Estimate:
    """AUC of one score, with an interval; undefined for a single class or a score that is NaN.

    "delong" is the Wald interval cut to [0, 1]; "delong-logit" works on the logit scale and so
    stays inside by itself. Where DeLong's variance is zero or does not exist (perfect separation,
    all scores equal, one scan in a class), Newcombe's score interval is given instead, because a
    zero-width interval would claim certainty.
    """
    positive = np.asarray(target).astype(bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        absent = "positive" if m == 0 else "negative"
        return Estimate.undefined(f"no {absent} scan", m + n)
    if missing := int(np.isnan(score).sum()):
        return Estimate.undefined(f"{missing} of {m + n} scores are not numbers", m + n)
    auc, covariance = delong_covariance(positive, score)
    value, variance = float(auc[0]), float(covariance[0, 0])
    if not np.isfinite(variance) or variance < 1e-12:
        low, high = newcombe_interval(value, m, n, confidence)
        why = "variance is 0" if min(m, n) > 1 else "needs two scans of each class"
        return Estimate(value, low, high, m + n, f"Newcombe score interval (DeLong {why})")
    z = stats.norm.ppf(0.5 + confidence / 2)
    if interval == "delong-logit" and 0 < value < 1:
        low, high = logit_interval(value, variance, confidence)
        return Estimate(value, low, high, m + n, "DeLong, logit-transformed")
    half = z * float(np.sqrt(variance))
    low, high = max(0.0, float(value - half)), min(1.0, float(value + half))
    return Estimate(value, low, high, m + n, "DeLong")


def sampled_auc(
    target: NDArray[np.generic], score: NDArray[np.floating], sampling: Sampling
) -> Estimate:
    """AUC with the interval that the sampling of the scans asks for.

    That is DeLong's, or a patient bootstrap where a patient has several scans; where the bootstrap
    has no width, Newcombe's interval with the number of patients; scans of one patient alone give
    none. Where the models of several folds scored the scans, it is the mean of the folds' AUCs; see
    `covidlit.evaluation.cross_validation`. Of repeats without folds it is the mean of the repeats'
    AUCs.
    """
    if sampling.cross_validated:
        return fold_aucs(target, score, sampling).estimate(sampling.confidence)
    if sampling.repeated:
        return _mean_of_repeats(target, score, sampling)
    estimate = auc_estimate(target, score, sampling.confidence)
    if estimate.value is None or not sampling.clustered:
        return estimate
    if sampling.single_patient:
        return Estimate(estimate.value, None, None, estimate.n, "none", ONE_PATIENT)
    replicates = sampling.distribution(lambda weights: weighted_auc(target, score, weights))
    interval = sampling.percentile(replicates, estimate.value)
    if interval is not None:
        return Estimate(estimate.value, *interval, estimate.n, "patient bootstrap, percentile")
    positive = np.asarray(target).astype(bool)
    sizes = sampling.count_patients(positive), sampling.count_patients(~positive)
    interval = newcombe_interval(estimate.value, *sizes, sampling.confidence)
    method = "Newcombe score interval with n = patients"
    return Estimate(estimate.value, *interval, estimate.n, method)


def repeat_aucs(
    target: NDArray[np.generic], score: NDArray[np.floating], sampling: Sampling, weights: Weights
) -> NDArray[np.float64]:
    """Mean over the repeats of the AUC of each, with all its scores as one model's.

    Args:
        target: shape (n,), 1 for positive scans.
        score: shape (n,).
        sampling: with repeats.
        weights: shape (b, n), how often each scan counts in each replicate.

    Returns:
        Shape (b,); NaN where a class is absent.
    """
    target, score = np.asarray(target), np.asarray(score)
    each = [
        weighted_auc(target[rows], score[rows], weights[:, rows])
        for rows in sampling.by_repeat.rows_by_fold().values()
    ]
    return np.asarray(np.mean(each, axis=0), dtype=np.float64)


def _mean_of_repeats(
    target: NDArray[np.generic], score: NDArray[np.floating], sampling: Sampling
) -> Estimate:
    """The interval is DeLong's by patient, or a patient bootstrap as in `sampled_auc`."""
    found = fold_aucs(target, score, sampling.by_repeat)
    named = f"mean of {len(found.aucs)} repeats"
    if found.left_out:
        return Estimate.undefined(next(iter(found.left_out.values())), sampling.n_scans)
    value, n = found.mean, sampling.n_scans
    if sampling.single_patient:
        return Estimate(value, None, None, n, "none", ONE_PATIENT)
    positive = np.asarray(target).astype(bool)
    sizes = sampling.count_patients(positive), sampling.count_patients(~positive)
    if sampling.several_scans:
        replicates = sampling.distribution(lambda w: repeat_aucs(target, score, sampling, w))
        interval = sampling.percentile(replicates, value)
        if interval is not None:
            return Estimate(value, *interval, n, f"{named}, patient bootstrap, percentile")
    elif found.variance >= 1e-12 and min(sizes) > 1:
        half = float(stats.norm.ppf(0.5 + sampling.confidence / 2) * np.sqrt(found.variance))
        ends = max(0.0, value - half), min(1.0, value + half)
        return Estimate(value, *ends, n, f"{named}, DeLong by patient")
    interval = newcombe_interval(value, *sizes, sampling.confidence)
    return Estimate(value, *interval, n, f"{named}, Newcombe score interval with n = patients")
