"""Confusion matrix and the measures at one operating point, each with its interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import proportion

ONE_CLASS = "only one class is present"


def confusion(
    target: NDArray[np.bool_], decision: NDArray[np.bool_], n_repeats: int = 1
) -> dict[str, int | float]:
    """Counts tp, fn, fp, tn of decisions (true = called positive), both of shape (n,).

    Of several repeats of a cross-validation the mean counts of a repeat, to a tenth.
    """
    counts = {
        "tp": int((target & decision).sum()),
        "fn": int((target & ~decision).sum()),
        "fp": int((~target & decision).sum()),
        "tn": int((~target & ~decision).sum()),
    }
    if n_repeats == 1:
        return dict(counts)
    return {name: round(count / n_repeats, 1) for name, count in counts.items()}


def classification_measures(
    target: NDArray[np.bool_], decision: NDArray[np.bool_], sampling: Sampling
) -> dict[str, Estimate]:
    """Sensitivity, specificity, PPV, NPV, accuracy, balanced accuracy, F1 and MCC.

    Proportions have Wilson intervals, and balanced accuracy the one that follows from those of
    sensitivity and specificity. F1 and MCC have percentile intervals of a patient bootstrap. With
    several scans of a patient all intervals come from the bootstrap.

    Args:
        target: shape (n,), true for positive scans.
        decision: shape (n,), true where the scan is called positive.
        sampling: how the n scans were sampled.
    """
    everything = np.ones_like(target)
    sensitivity = proportion(decision, target, sampling, "no positive scan")
    specificity = proportion(~decision, ~target, sampling, "no negative scan")
    measures = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": proportion(target, decision, sampling, "no scan called positive"),
        "npv": proportion(~target, ~decision, sampling, "no scan called negative"),
        "accuracy": proportion(target == decision, everything, sampling, "no scan"),
        **_composite_measures(target, decision, sampling),
    }
    if target.all() or not target.any():
        measures["ppv"] = measures["npv"] = Estimate.undefined(ONE_CLASS, sampling.n_scans)
    if not sampling.several_scans:
        measures["balanced_accuracy"] = _mean_of(sensitivity, specificity, sampling.n_scans)
    return measures


def balanced_accuracy(tp: NDArray, fn: NDArray, fp: NDArray, tn: NDArray) -> NDArray[np.float64]:
    """Mean of sensitivity and specificity."""
    return (tp / (tp + fn) + tn / (tn + fp)) / 2


def f1_score(tp: NDArray, fn: NDArray, fp: NDArray, tn: NDArray) -> NDArray[np.float64]:
    """Harmonic mean of PPV and sensitivity."""
    return 2 * tp / (2 * tp + fp + fn)


def matthews(tp: NDArray, fn: NDArray, fp: NDArray, tn: NDArray) -> NDArray[np.float64]:
    """Matthews correlation coefficient (the phi coefficient of the 2 x 2 table)."""
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / np.sqrt(margins)


_COMPOSITE: dict[str, Callable[..., NDArray[np.float64]]] = {
    "balanced_accuracy": balanced_accuracy,
    "f1": f1_score,
    "mcc": matthews,
}


def _composite_measures(
    target: NDArray[np.bool_], decision: NDArray[np.bool_], sampling: Sampling
) -> dict[str, Estimate]:
    n = sampling.n_scans
    if target.all() or not target.any():
        return {name: Estimate.undefined(ONE_CLASS, n) for name in _COMPOSITE}
    cells = np.stack(
        [target & decision, target & ~decision, ~target & decision, ~target & ~decision], axis=1
    ).astype(float)

    def counts(weights: Weights) -> NDArray[np.float64]:
        return weights @ cells

    replicates = sampling.distribution(counts).T
    estimates = {}
    method = "patient bootstrap, percentile"
    for name, formula in _COMPOSITE.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(formula(*cells.sum(axis=0)))
            interval = sampling.percentile(formula(*replicates), value)
        if not np.isfinite(value):
            estimates[name] = Estimate.undefined("every scan gets the same decision", n)
        elif interval is None:
            reason = "the bootstrap replicates do not vary"
            estimates[name] = Estimate(value, None, None, n, method, reason)
        else:
            estimates[name] = Estimate(value, *interval, n, method)
    return estimates


def _mean_of(first: Estimate, second: Estimate, n: int) -> Estimate:
    """Mean of two independent proportions with the interval that theirs imply.

    Source: MOVER, Zou and Donner, Statistics in Medicine 2008;27:1693.
    """
    a, b = first, second
    if a.value is None or a.low is None or a.high is None:
        return Estimate.undefined(ONE_CLASS, n)
    if b.value is None or b.low is None or b.high is None:
        return Estimate.undefined(ONE_CLASS, n)
    value = (a.value + b.value) / 2
    below = float(np.hypot(a.value - a.low, b.value - b.low)) / 2
    above = float(np.hypot(a.high - a.value, b.high - b.value)) / 2
    return Estimate(value, value - below, value + above, n, "MOVER of Wilson intervals")
