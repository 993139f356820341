"""How sure a threshold is: learnt again on patients drawn with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covidlit.baselines.factor_thresholds.youden import Cut

_CELLS = 2_000_000
"""Scans times samples that are looked at together."""


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
    n_people = int(member.max()) + 1
    sick = np.bincount(member, weights=target, minlength=n_people) > 0
    groups = [np.flatnonzero(sick), np.flatnonzero(~sick)]
    found: list[list[NDArray[np.float64]]] = [[] for _ in cuts]
    at_once = max(1, _CELLS // len(x))
    for start in range(0, n_bootstrap, at_once):
        size = min(at_once, n_bootstrap - start)
        times = np.zeros((size, n_people), dtype=np.int64)
        for group in groups:
            if len(group):
                even = np.full(len(group), 1 / len(group))
                times[:, group] = rng.multinomial(len(group), even, size)
        weights = times[:, member]
        for column, cut in enumerate(cuts):
            if cut is not None:
                found[column].append(weighted_cuts(x[:, column], target, weights, cut.above))
    tail = 100 * (1 - confidence) / 2
    return [
        None if cut is None else _interval(np.concatenate(values), tail)
        for cut, values in zip(cuts, found, strict=True)
    ]


def weighted_cuts(
    values: NDArray[np.floating],
    target: NDArray[np.bool_],
    weights: NDArray[np.integer],
    above: bool,
) -> NDArray[np.float64]:
    """`youden_cut` of many samples at once: the threshold of each, NaN where it has none.

    Args:
        values: (n,) of a factor, NaN where it is undefined.
        target: (n,).
        weights: (samples, n) how often each scan is in each sample.
        above: the side of the disease.
    """
    positive, negative = weights @ target, weights @ ~target
    known = np.isfinite(values)
    signed = values[known] if above else -values[known]
    distinct, place = np.unique(-signed, return_inverse=True)
    order = np.argsort(place, kind="stable")
    ends = np.flatnonzero(np.diff(place[order], append=len(distinct)))  # last row of each value
    drawn = weights[:, known][:, order]
    total = np.cumsum(drawn, axis=1)[:, ends]
    true = np.cumsum(drawn * target[known][order], axis=1)[:, ends]
    gain = true * negative[:, None] - (total - true) * positive[:, None]
    gain[total == total[:, -1:]] = 0  # nothing of the sample lies on the other side
    best = gain.argmax(axis=1)
    samples = np.arange(len(weights))
    further = total > total[samples, best][:, None]
    outside, inside = -distinct[further.argmax(axis=1)], -distinct[best]
    middle = outside + (inside - outside) / 2
    threshold = np.where(middle > outside, middle, inside)
    defined = (gain[samples, best] > 0) & (positive > 0) & (negative > 0)
    return np.where(defined, threshold if above else -threshold, np.nan)


def _interval(values: NDArray[np.float64], tail: float) -> Interval:
    known = values[np.isfinite(values)]
    share = len(known) / len(values)
    if share < 0.5:
        return Interval(None, None, share)
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(float(low), float(high), share)
