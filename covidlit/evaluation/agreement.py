"""How far two graders agree: the share of equal grades, and Cohen's kappa."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import effective_size, wilson

_ALONE = "a single patient says nothing of others"


@dataclass(frozen=True)
class Agreement:
    """Agreement of two graders on the same scans.

    Args:
        same: share of scans with the same grade.
        kappa: Cohen's kappa; undefined where both gave one and the same grade throughout.
    """

    same: Estimate
    kappa: Estimate


def agreement(first: Sequence[str], second: Sequence[str], sampling: Sampling) -> Agreement:
    """Per cent agreement and Cohen's kappa, with intervals by patient.

    Args:
        first, second: the grades of n scans, of any number of categories.
        sampling: of these scans.

    Returns:
        The share with Wilson's interval for as many scans as tell as much, kappa with that of the
        delta method; both count a patient with several scans as one.

    Source: Cohen, Educational and Psychological Measurement 1960;20:37; its variance by Fleiss,
    Cohen and Everitt, Psychological Bulletin 1969;72:323, summed by patient.
    """
    n = len(first)
    if n != len(second):
        raise ValueError(f"{n} and {len(second)} grades cannot be of the same scans")
    if n == 0:
        nothing = Estimate.undefined("no scan has both grades")
        return Agreement(nothing, nothing)
    names, index = np.unique([*map(str, first), *map(str, second)], return_inverse=True)
    one, other = index[:n], index[n:]
    equal = one == other
    return Agreement(_share(equal, sampling), _kappa(one, other, len(names), sampling))


def _share(equal: np.ndarray, sampling: Sampling) -> Estimate:
    n, value = len(equal), float(equal.mean())
    if sampling.single_patient:
        return Estimate(value, None, None, n, "none", _ALONE, count=int(equal.sum()))
    size = effective_size(equal[:, None], np.ones(n, bool), sampling)[0]
    low, high = wilson(value * size, size, sampling.confidence)
    return Estimate(value, float(low), float(high), n, "Wilson, by patient", count=int(equal.sum()))


def _kappa(one: np.ndarray, other: np.ndarray, k: int, sampling: Sampling) -> Estimate:
    n = len(one)
    seen = float(np.mean(one == other))
    shares = np.bincount(one, minlength=k) / n, np.bincount(other, minlength=k) / n
    chance = float(shares[0] @ shares[1])
    if k == 1:
        return Estimate.undefined("both gave the same grade throughout", n)
    value = (seen - chance) / (1 - chance)
    # How much each scan moves kappa: its derivatives by the agreement seen and that by chance.
    moves = ((one == other) - seen) / (1 - chance)
    moves -= (1 - seen) / (1 - chance) ** 2 * (shares[1][one] + shares[0][other] - 2 * chance)
    if sampling.single_patient:
        return Estimate(value, None, None, n, "none", _ALONE)
    error = float(np.sqrt((sampling.sum_by_patient(moves) ** 2).sum())) / n
    if error < 1e-12:
        return Estimate(value, None, None, n, "none", "these scans do not tell how much it varies")
    half = float(stats.norm.ppf(0.5 + sampling.confidence / 2)) * error
    return Estimate(
        value, max(-1.0, value - half), min(1.0, value + half), n, "delta method, by patient"
    )
