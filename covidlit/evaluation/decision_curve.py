"""Decision curves: what acting on a score is worth, at each threshold at which one would act.

Vickers and Elkin, Medical Decision Making 2006;26:565.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling, Weights
from covidlit.evaluation.classification import ONE_CLASS
from covidlit.evaluation.estimate import Estimate

THRESHOLDS = tuple(
    round(0.01 * percent, 2) for percent in range(1, 100) if percent % 2 == 0 or percent % 5 == 0
)
"""Threshold probabilities of the curve."""

SHOWN = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Those of the table."""

_METHOD = "patient bootstrap, percentile"


def net_benefit(
    target: NDArray[np.generic],
    score: NDArray[np.floating],
    thresholds: ArrayLike,
    weights: Weights | None = None,
) -> NDArray[np.float64]:
    """True positives per scan, less false positives at the rate at which they are traded for one.

    (TP - FP * t / (1 - t)) / n, with what is called positive where score >= t.

    Args:
        target: shape (n,), 1 for positive.
        score: shape (n,), probabilities.
        thresholds: shape (t,), probabilities in [0, 1).
        weights: shape (b, n), how often each scan counts in each replicate; None: once.

    Returns:
        Shape (b, t), or (t,) without weights.

    Raises:
        ValueError: a threshold outside [0, 1).
    """
    at = np.asarray(thresholds, dtype=np.float64)
    if ((at < 0) | (at >= 1)).any():
        raise ValueError("a threshold probability must lie in [0, 1)")
    positive = np.asarray(target).astype(bool)
    called = np.asarray(score, dtype=np.float64)[:, None] >= at[None, :]
    worth = np.where(positive[:, None], 1.0, -(at / (1 - at))[None, :]) * called
    if weights is None:
        return np.asarray(worth.mean(axis=0), dtype=np.float64)
    return (weights @ worth) / weights.sum(axis=1, keepdims=True)


def decision_curve(
    target: NDArray[np.bool_],
    score: NDArray[np.floating],
    sampling: Sampling,
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, Any]:
    """Net benefit of the score and of treating all, and how far the score is ahead; JSON-able.

    Treating none has a net benefit of 0. A decision at a probability means the same whichever model
    of a cross-validation made it, so that folds are pooled.

    Args:
        target: shape (n,), true for positive scans.
        score: shape (n,), probabilities.
        sampling: how the scans were sampled; intervals are those of its patient bootstrap.
        thresholds: threshold probabilities in (0, 1).

    Returns:
        `points`, one per threshold with `threshold`, `net_benefit` and `ahead` (its difference from
        the better of treating all and none; both `Estimate.to_dict()`), and the number `treat_all`;
        empty, with a `reason`, where there is one class only.
    """
    n = len(target)
    if n == 0 or target.all() or not target.any():
        return {"points": [], "reason": ONE_CLASS if n else "no scored scan"}
    everyone = np.ones(n)

    def curves(weights: Weights) -> NDArray[np.float64]:
        own = net_benefit(target, score, thresholds, weights)
        every = net_benefit(target, everyone, thresholds, weights)
        return np.stack([own, own - np.maximum(every, 0.0)], axis=1)

    values = curves(np.ones((1, n)))[0]
    treat_all = net_benefit(target, everyone, thresholds)
    replicates = sampling.distribution(curves)
    points = []
    for index, threshold in enumerate(thresholds):
        row: dict[str, Any] = {"threshold": float(threshold), "treat_all": float(treat_all[index])}
        for which, name in enumerate(("net_benefit", "ahead")):
            found = _estimate(values[which, index], replicates[:, which, index], sampling)
            row[name] = found.to_dict()
        points.append(row)
    return {"points": points}


def _estimate(value: float, replicates: NDArray[np.float64], sampling: Sampling) -> Estimate:
    n = sampling.n_scans
    if sampling.single_patient:
        return Estimate(float(value), None, None, n, "none", ONE_PATIENT)
    interval = sampling.percentile(replicates, float(value))
    if interval is None:
        reason = "the bootstrap replicates do not vary"
        return Estimate(float(value), None, None, n, _METHOD, reason)
    return Estimate(float(value), *interval, n, _METHOD)
