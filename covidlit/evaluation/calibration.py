"""Calibration: do scores mean probabilities? Curve, slope, intercept, Brier score, ECE."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import proportion

LOGIT_LIMIT = 1e-6
"""Scores are kept this far from 0 and 1 before their logit is taken."""

_STEPS, _TOLERANCE, _DIVERGED = 30, 1e-8, 50.0


def logit(score: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds of scores, kept finite by `LOGIT_LIMIT`."""
    inner = np.clip(np.asarray(score, dtype=np.float64), LOGIT_LIMIT, 1 - LOGIT_LIMIT)
    return np.log(inner) - np.log1p(-inner)


def recalibration(
    target: NDArray[np.bool_], score: NDArray[np.floating], weights: Weights
) -> NDArray[np.float64]:
    """Logistic recalibration in each replicate, by Newton's method on all replicates at once.

    Args:
        target: shape (n,).
        score: shape (n,), probabilities.
        weights: shape (b, n), how often each scan counts.

    Returns:
        Shape (b, 3): slope and intercept of logit(P) = intercept + slope * logit(score), and the
        calibration in the large, that is the intercept with the slope fixed at 1. 0 and 1 are
        perfect. NaN where a fit does not converge (perfect separation, one class, or one score).

    Source: Cox, Biometrika 1958;45:562; Van Calster et al., BMC Medicine 2019;17:230.
    """
    x, y = logit(score), target.astype(np.float64)
    result = np.full((len(weights), 3), np.nan)
    slope, intercept = np.zeros(len(weights)), np.zeros(len(weights))
    large = np.zeros(len(weights))
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            p = _expit(intercept[:, None] + slope[:, None] * x)
            residual, information = weights * (y - p), weights * p * (1 - p)
            a, b = information.sum(axis=1), information @ x
            c = information @ (x * x)
            g0, g1 = residual.sum(axis=1), residual @ x
            determinant = a * c - b * b
            step0, step1 = (c * g0 - b * g1) / determinant, (a * g1 - b * g0) / determinant
            intercept, slope = intercept + step0, slope + step1
            if np.nanmax(np.abs(np.r_[step0, step1, 0.0])) < _TOLERANCE:
                break
        done = (np.abs(step0) < 1e-6) & (np.abs(step1) < 1e-6) & (np.abs(slope) < _DIVERGED)
        done &= determinant > 1e-12 * a * c  # of a single score, rounding can leave a little
        result[done, 0], result[done, 1] = slope[done], intercept[done]
        for _ in range(_STEPS):
            p = _expit(large[:, None] + x)
            step = (weights * (y - p)).sum(axis=1) / (weights * p * (1 - p)).sum(axis=1)
            large = large + np.clip(step, -2.0, 2.0)  # far out, a full step overshoots
            if np.nanmax(np.abs(np.r_[step, 0.0])) < _TOLERANCE:
                break
        done = (np.abs(step) < 1e-6) & (np.abs(large) < _DIVERGED)
        result[done, 2] = large[done]
    return result


def calibration_bins(score: NDArray[np.floating], n_bins: int = 10) -> NDArray[np.intp]:
    """Bin index of each score: bins of about equal size, equal scores always in one bin.

    Fewer bins are made where there are fewer than 5 scans per bin.
    """
    score = np.asarray(score, dtype=np.float64)
    count = int(max(1, min(n_bins, len(score) // 5)))
    edges = np.unique(np.quantile(score, np.linspace(0, 1, count + 1)[1:-1]))
    index = np.searchsorted(edges, score, side="right")
    return np.unique(index, return_inverse=True)[1]


def calibration_error(
    target: NDArray[np.bool_], score: NDArray[np.floating], bins: NDArray[np.intp], weights: Weights
) -> NDArray[np.float64]:
    """Expected calibration error in each replicate, shape (b,), with fixed bins.

    Mean over bins, weighted by their size, of |observed share - mean score|
    (Naeini et al., AAAI 2015).
    """
    gap = np.zeros((len(score), bins.max() + 1))
    gap[np.arange(len(score)), bins] = target - np.asarray(score)
    return np.abs(weights @ gap).sum(axis=1) / weights.sum(axis=1)


def calibration(
    target: NDArray[np.bool_],
    score: NDArray[np.floating],
    sampling: Sampling,
    n_bins: int = 10,
) -> dict[str, Any]:
    """Everything about calibration, JSON-able: see the keys below.

    `curve` (bins with mean score and observed share), `slope`, `intercept`,
    `calibration_in_the_large`, `brier`, `scaled_brier` (1 is perfect, 0 as good as the prevalence),
    `ece`, and `ece_if_perfect`: the mean ECE of a perfectly calibrated model with these scores,
    because the ECE is above 0 by chance alone.
    """
    n = len(score)
    if n == 0:
        return {"reason": "no scored scan"}
    bins = calibration_bins(score, int(max(1, min(n_bins, sampling.n_scans // 5))))
    curve = [
        {
            "n": sampling.per_repeat(int((bins == index).sum())),
            "mean_score": float(np.mean(score[bins == index])),
            "observed": proportion(target, bins == index, sampling).to_dict(),
        }
        for index in range(bins.max() + 1)
    ]
    one = np.ones((1, n))
    squared = (target - score) ** 2

    def brier_scores(weights: Weights) -> NDArray[np.float64]:
        total = weights.sum(axis=1)
        brier, share = weights @ squared / total, weights @ target.astype(float) / total
        return np.stack([brier, 1 - brier / (share * (1 - share))], axis=1)

    record: dict[str, Any] = {"curve": curve}
    record |= _summaries(target, score, sampling)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = brier_scores(one)[0]
    replicates = sampling.distribution(brier_scores)
    for column, name in enumerate(("brier", "scaled_brier")):
        record[name] = _estimate(
            values[column],
            sampling.percentile(replicates[:, column], values[column]),
            sampling.n_scans,
            "only one class",
        ).to_dict()
    ece = float(calibration_error(target, score, bins, one)[0])
    spread = sampling.distribution(lambda w: calibration_error(target, score, bins, w))
    record["ece"] = _estimate(
        ece,
        sampling.bias_corrected(spread, ece),
        sampling.n_scans,
        "",
        "patient bootstrap, bias-corrected",
    ).to_dict()
    record["ece_if_perfect"] = _ece_by_chance(score, bins, sampling)
    return record


def _summaries(
    target: NDArray[np.bool_], score: NDArray[np.floating], sampling: Sampling
) -> dict[str, Any]:
    names = ("slope", "intercept", "calibration_in_the_large")
    if target.all() or not target.any():
        reason = "only one class"
        return {name: Estimate.undefined(reason, sampling.n_scans).to_dict() for name in names}
    values = recalibration(target, score, np.ones((1, len(score))))[0]
    replicates = sampling.distribution(lambda weights: recalibration(target, score, weights))
    slope_reason = _why_no_slope(target, score)
    reasons = (slope_reason, slope_reason, "the logistic fit does not converge")
    return {
        name: _estimate(
            values[column],
            sampling.percentile(replicates[:, column], values[column]),
            sampling.n_scans,
            reason,
        ).to_dict()
        for column, (name, reason) in enumerate(zip(names, reasons, strict=True))
    }


def _why_no_slope(target: NDArray[np.bool_], score: NDArray[np.floating]) -> str:
    x = logit(score)
    if np.ptp(x) == 0:
        return "the scores do not vary"
    positive, negative = x[target], x[~target]
    gap = max(positive.min() - negative.max(), negative.min() - positive.max())
    if gap > 0:
        return "the logistic fit does not converge: the scores separate the classes perfectly"
    if gap == 0:
        return "the logistic fit does not converge: the classes share a single score only"
    return f"the logistic fit does not converge, or its slope is beyond {_DIVERGED:g}"


def _estimate(
    value: float,
    interval: tuple[float, float] | None,
    n: int,
    reason: str,
    method: str = "patient bootstrap, percentile",
) -> Estimate:
    if not np.isfinite(value):
        return Estimate.undefined(reason, n)
    if interval is None:
        why = "the bootstrap replicates do not vary, or most of them are undefined"
        return Estimate(float(value), None, None, n, method, why)
    return Estimate(float(value), *interval, n, method)


def _ece_by_chance(
    score: NDArray[np.floating], bins: NDArray[np.intp], sampling: Sampling, n_draws: int = 500
) -> float:
    """Scans of one patient share their luck: they are of one patient's disease."""
    rng = np.random.default_rng(sampling.seed)
    patients, index = np.unique(sampling.patient, return_inverse=True)
    onehot = np.zeros((len(score), bins.max() + 1))
    onehot[np.arange(len(score)), bins] = 1.0
    luck = rng.random((min(n_draws, max(1, 4_000_000 // len(score))), len(patients)))
    drawn = luck[:, index.reshape(-1)] < score
    return float(np.abs((drawn - score) @ onehot).sum(axis=1).mean() / len(score))


def _expit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))
