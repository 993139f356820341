"""Tests of two groups of different scans: two proportions, or two AUCs with common negatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from covidlit.evaluation.bootstrap import Sampling, Weights, weighted_auc
from covidlit.evaluation.cross_validation import fold_aucs, mean_auc_difference
from covidlit.evaluation.difference import DifferenceTest, bootstrap_test
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import wilson

FISHER = "Fisher, exact"
UNPAIRED_INTERVAL = "Newcombe, unpaired"


def fisher_test(
    count_1: int, n_1: int, count_2: int, n_2: int, confidence: float = 0.95
) -> DifferenceTest:
    """Difference of the proportions count_1 / n_1 and count_2 / n_2 of independent scans.

    `statistic` is the odds ratio of the table, None where a zero makes it infinite or undefined.

    Raises:
        ValueError: a count is negative or larger than its n.

    Source: Fisher 1935, The Design of Experiments, as in SciPy: two-sided by the sum of all tables
    that are as improbable as the observed one or more.
    """
    for count, n in ((count_1, n_1), (count_2, n_2)):
        if not 0 <= count <= n:
            raise ValueError(f"{count} of {n} is no proportion")
    if n_1 == 0 or n_2 == 0:
        return DifferenceTest.undefined("a group has no scan", FISHER, n_1 + n_2)
    table = [[count_1, n_1 - count_1], [count_2, n_2 - count_2]]
    p_value = float(stats.fisher_exact(table).pvalue)
    interval = unpaired_interval(count_1, n_1, count_2, n_2, confidence)
    estimate = Estimate(count_1 / n_1 - count_2 / n_2, *interval, n_1 + n_2, UNPAIRED_INTERVAL)
    across = table[0][1] * table[1][0]
    odds_ratio = table[0][0] * table[1][1] / across if across else None
    return DifferenceTest(estimate, odds_ratio, min(1.0, p_value), FISHER, n_1 + n_2)


def unpaired_interval(
    count_1: int, n_1: int, count_2: int, n_2: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval for the difference of two independent proportions; both n must be positive.

    It adds the squares of the half-widths of the two Wilson intervals.

    Source: Newcombe, Statistics in Medicine 1998;17:873, method 10.
    """
    share_1, share_2 = count_1 / n_1, count_2 / n_2
    low, high = wilson([count_1, count_2], [n_1, n_2], confidence)
    below = float(np.hypot(share_1 - low[0], high[1] - share_2))
    above = float(np.hypot(high[0] - share_1, share_2 - low[1]))
    return share_1 - share_2 - below, share_1 - share_2 + above


def auc_difference_common_negatives(
    target: NDArray[np.generic],
    score: NDArray[np.floating],
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    sampling: Sampling,
) -> DifferenceTest:
    """Difference of one score's AUCs in two groups of positive scans, each against all negatives.

    For example cases whose first RT-PCR was positive against those whose first was negative. The
    two AUCs share their negative scans and so are correlated, and the groups hold different scans:
    neither a paired nor an unpaired DeLong test fits, but a bootstrap that draws all patients. Of
    the folds of a cross-validation, the means over the folds are compared, by their influence
    curves.

    Args:
        target: shape (n,), 1 for positive scans.
        score: shape (n,).
        first: shape (n,), true for the scans of the first group; negative ones are not looked at.
        second: shape (n,), the same for the second group.
        sampling: how these n scans were sampled.

    Raises:
        ValueError: a positive scan is in both groups.
    """
    positive = np.asarray(target).astype(bool)
    groups = [np.asarray(group, dtype=bool) & positive for group in (first, second)]
    if (groups[0] & groups[1]).any():
        raise ValueError("a positive scan is in both groups")
    used = ~positive | groups[0] | groups[1]
    n, method = int(used.sum()), "patient bootstrap"
    for group, name in zip(groups, ("first", "second"), strict=True):
        if not group.any():
            return DifferenceTest.undefined(f"no positive scan in the {name} group", method, n)
    if positive.all():
        return DifferenceTest.undefined("no negative scan", method, n)
    if missing := int(np.isnan(score[used]).sum()):
        return DifferenceTest.undefined(f"{missing} of {n} scans have no score", method, n)
    if sampling.cross_validated:
        aucs = [fold_aucs(positive, score, sampling, ~positive | group) for group in groups]
        return mean_auc_difference(aucs[0], aucs[1], sampling.confidence)
    scores, part = np.asarray(score)[used], sampling.subset(used)
    members = [group[used] for group in groups]

    def difference(weights: Weights) -> NDArray[np.float64]:
        # A scan of the other group is given no weight: it is neither positive nor negative here.
        aucs = [
            weighted_auc(positive[used], scores, weights * ~other)
            for other in (members[1], members[0])
        ]
        return aucs[0] - aucs[1]

    value = float(difference(np.ones((1, n)))[0])
    return bootstrap_test(value, part.distribution(difference), part)
