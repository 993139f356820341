"""Confusion matrix and the measures at one operating point, each with its interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import proportion

Counts = tuple[NDArray[np.float64], ...]


def confusion(target: NDArray[np.bool_], decision: NDArray[np.bool_]) -> dict[str, int]:
    """Counts tp, fn, fp, tn of decisions (true = called positive), both of shape (n,)."""
    return {
        "tp": int((target & decision).sum()),
        "fn": int((target & ~decision).sum()),
        "fp": int((~target & decision).sum()),
        "tn": int((~target & ~decision).sum()),
    }


def classification_measures(
    target: NDArray[np.bool_], decision: NDArray[np.bool_], sampling: Sampling
) -> dict[str, Estimate]:
    """Sensitivity, specificity, PPV, NPV, accuracy, balanced accuracy, F1 and MCC.

    Proportions have Wilson intervals, the last three percentile intervals of a patient bootstrap
    (also with one scan per patient, because they are no proportions).

    Args:
        target: shape (n,), true for positive scans.
        decision: shape (n,), true where the scan is called positive.
        sampling: how the n scans were sampled.
    """
    everything = np.ones_like(target)
    return {
        "sensitivity": proportion(decision, target, sampling, "no positive scan"),
        "specificity": proportion(~decision, ~target, sampling, "no negative scan"),
        "ppv": proportion(target, decision, sampling, "no scan called positive"),
        "npv": proportion(~target, ~decision, sampling, "no scan called negative"),
        "accuracy": proportion(target == decision, everything, sampling, "no scan"),
        **_composite_measures(target, decision, sampling),
    }


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
    cells = np.stack(
        [target & decision, target & ~decision, ~target & decision, ~target & ~decision], axis=1
    ).astype(float)

    def counts(weights: Weights) -> NDArray[np.float64]:
        return weights @ cells

    replicates = sampling.distribution(counts).T
    estimates = {}
    for name, formula in _COMPOSITE.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(formula(*cells.sum(axis=0)))
            interval = sampling.percentile(formula(*replicates))
        if not np.isfinite(value):
            estimates[name] = Estimate.undefined("a class or a decision does not occur", len(cells))
        elif interval is None:
            estimates[name] = Estimate(
                value,
                None,
                None,
                len(cells),
                "patient bootstrap, percentile",
                "the bootstrap replicates do not vary",
            )
        else:
            estimates[name] = Estimate(
                value, *interval, len(cells), "patient bootstrap, percentile"
            )
    return estimates
