"""How sure a threshold is: learnt again on patients drawn with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.baselines.factor_thresholds.youden import Cut, youden_cut


@dataclass(frozen=True)
class Interval:
    """Percentiles of a threshold over bootstrap samples.

    Args:
        low, high: None where fewer than half of the samples have a threshold.
        share: of the samples that have one.
    """

    low: float | None
    high: float | None
    share: float


def threshold_intervals(
    x: NDArray[np.floating],
    target: NDArray[np.bool_],
    patients: NDArray[np.generic],
    cuts: Sequence[Cut | None],
    *,
    n_bootstrap: int,
    confidence: float,
    seed: int,
) -> list[Interval | None]:
    """Bootstrap intervals of thresholds, each on the side that it was learnt on.

    Patients are drawn with all their scans, within each class of patients (those with a positive
    scan, and the others), so that no sample lacks a class.

    Args:
        x: (n, columns).
        target: (n,).
        patients: (n,) whose scan it is.
        cuts: of each column; None: it has no threshold.
        n_bootstrap: samples.
        confidence: level of the interval.
        seed: of the samples.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval).
    """
    rng = np.random.default_rng(seed)
    _, member = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    rows_of = [np.flatnonzero(member == number) for number in range(int(member.max()) + 1)]
    sick = np.array([bool(target[rows].any()) for rows in rows_of])
    groups = [np.flatnonzero(sick), np.flatnonzero(~sick)]
    found: list[list[float]] = [[] for _ in cuts]
    for _ in range(n_bootstrap):
        drawn = np.concatenate([rng.choice(group, len(group)) for group in groups if len(group)])
        rows = np.concatenate([rows_of[number] for number in drawn])
        labels = target[rows]
        if labels.all() or not labels.any():
            continue
        for column, cut in enumerate(cuts):
            again = None if cut is None else youden_cut(x[rows, column], labels, cut.above)
            if again is not None:
                found[column].append(again.threshold)
    tail = 100 * (1 - confidence) / 2
    return [
        None if cut is None else _interval(values, n_bootstrap, tail)
        for cut, values in zip(cuts, found, strict=True)
    ]


def _interval(values: list[float], n_bootstrap: int, tail: float) -> Interval:
    share = len(values) / n_bootstrap
    if share < 0.5:
        return Interval(None, None, share)
    low, high = np.percentile(values, [tail, 100 - tail])
    return Interval(float(low), float(high), share)
