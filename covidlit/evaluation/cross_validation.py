"""AUC of a cross-validation: the mean of the folds' AUCs, with an interval and a paired test.

Each fold has a model of its own, and nothing makes the scores of two models comparable: one model's
0.4 may be another's 0.6. So scans are ranked within their fold only, and the mean of the folds'
AUCs stands for the cross-validation. A single AUC of all scores, the pooled one, ranks scans of
different models against each other, and DeLong's variance takes all these models for one.

Repeats of a cross-validation are further folds: the mean is taken over the folds of all repeats,
and what a patient moves in each repeat is summed before it is squared, so that repeats add no
patients. A table that repeats itself has the interval of one copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling
from covidlit.evaluation.delong import placements
from covidlit.evaluation.difference import DifferenceTest
from covidlit.evaluation.estimate import Estimate, logit_interval
from covidlit.evaluation.folds import fold_and_repeat, fold_name
from covidlit.evaluation.newcombe import newcombe_interval_of_mean, newcombe_variance

CURVE = "influence curve"
PAIRED = "influence curve, paired"
_TINY = 1e-12


@dataclass(frozen=True)
class FoldAucs:
    """The AUCs of the folds, and what their mean owes to each patient.

    Attributes:
        aucs: AUC of each fold that has one, by `covidlit.evaluation.folds.model_number`.
        left_out: why each of the other folds has none.
        n: number of scans in the folds that have an AUC; of repeats, in one of them.
        influence: shape (patients,), influence of each patient on the mean, in the order of the
            sampling; the variance is the sum of its squares, and `rest`.
        rest: variance that folds add in which a class has a single patient, whose influence says
            nothing about others.
        sizes: numbers of patients with positive and with negative scans in each fold of `aucs`.
    """

    aucs: Mapping[int, float]
    left_out: Mapping[int, str]
    n: int
    influence: NDArray[np.float64]
    rest: float
    sizes: Sequence[tuple[int, int]]

    @property
    def mean(self) -> float:
        """Unweighted mean of the AUCs, of which there must be one."""
        return float(np.mean(list(self.aucs.values())))

    @property
    def variance(self) -> float:
        """Variance of the mean."""
        return float((self.influence**2).sum()) + self.rest

    @property
    def named(self) -> str:
        """Which mean it is: "mean of 5 folds", "mean of 4 of 5 folds", "... in 3 repeats"."""
        n, total = len(self.aucs), len(self.aucs) + len(self.left_out)
        repeats = {fold_and_repeat(number)[1] for number in (*self.aucs, *self.left_out)}
        repeated = f" in {len(repeats)} repeats" if len(repeats) > 1 else ""
        named = f"mean of {total} folds" if n == total else f"mean of {n} of {total} folds"
        return named + repeated

    @property
    def _sizes_of_a_repeat(self) -> Sequence[tuple[int, int]]:
        """The sizes of the folds of one repeat, for the others are of the same patients."""
        repeats = [fold_and_repeat(number)[1] for number in self.aucs]
        return [
            size for size, repeat in zip(self.sizes, repeats, strict=True) if repeat == repeats[0]
        ]

    @property
    def problem(self) -> str | None:
        """Why there is no mean: no fold has an AUC; None where there is one."""
        if self.aucs:
            return None
        reasons = "; ".join(f"fold {fold_name(n)}: {why}" for n, why in self.left_out.items())
        return f"no fold has an AUC ({reasons})"

    def estimate(self, confidence: float) -> Estimate:
        """The mean with its interval on the logit scale.

        The interval is of the mean of the true AUCs of these folds' models; it does not hold how
        much trainings on other patients would differ. Where the variance is 0 (all folds perfect,
        or every score the same), Newcombe's interval with the folds' numbers of patients is given.

        Source: LeDell, Petersen and van der Laan, Electronic Journal of Statistics 2015;9:1583. On
        the plain scale the interval covers too rarely where AUCs are high and folds small.
        """
        if problem := self.problem:
            return Estimate.undefined(problem, self.n)
        if len(self.influence) == 1:
            return Estimate(self.mean, None, None, self.n, "none", ONE_PATIENT)
        if self.variance < _TINY or not 0 < self.mean < 1:
            ends = newcombe_interval_of_mean(self.mean, self._sizes_of_a_repeat, confidence)
            return Estimate(self.mean, *ends, self.n, f"{self.named}, Newcombe score interval")
        ends = logit_interval(self.mean, self.variance, confidence)
        return Estimate(self.mean, *ends, self.n, f"{self.named}, {CURVE}")


def fold_aucs(
    target: NDArray[np.generic],
    score: NDArray[np.floating],
    sampling: Sampling,
    used: NDArray[np.bool_] | None = None,
) -> FoldAucs:
    """The AUC of each fold, and the influence of each patient on their mean.

    A positive scan moves its fold's AUC by (share of the fold's negative scans below it - AUC) / m,
    of m positive scans, a negative scan likewise; a patient by the sum over all scans, in whichever
    fold they stand. Divided by n - 1 instead of n, as by DeLong, because folds are small: with one
    scan of each patient the variance is that of the mean of independent AUCs with DeLong's
    variances, and with several that of Obuchowski for clustered data.

    Args:
        target: shape (n,), 1 for positive scans.
        score: shape (n,), higher means more likely positive.
        sampling: how the n scans were sampled; without folds all scans are taken as one.
        used: shape (n,), the scans to use; by default all.

    Source: LeDell, Petersen and van der Laan, Electronic Journal of Statistics 2015;9:1583;
    DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837; Obuchowski, Biometrics 1997;53:567.
    """
    positive, score = np.asarray(target).astype(bool), np.asarray(score, dtype=np.float64)
    used = np.ones(len(positive), bool) if used is None else used
    aucs: dict[int, float] = {}
    left_out: dict[int, str] = {}
    sizes: dict[int, tuple[int, int]] = {}
    moves, n = np.zeros(len(positive)), 0
    for number, members_of_fold in sampling.rows_by_fold().items():
        rows = members_of_fold & used
        if reason := _why_none(positive[rows], score[rows]):
            left_out[number] = reason
            continue
        above, below = placements(positive[rows], score[rows][None])
        aucs[number] = float(above.mean())
        n += int(rows.sum())
        members = rows & positive, rows & ~positive
        sizes[number] = sampling.count_patients(members[0]), sampling.count_patients(members[1])
        if min(sizes[number]) < 2:
            continue
        for member, place, size in zip(members, (above[0], below[0]), sizes[number], strict=True):
            share = np.sqrt(size / (size - 1)) / len(place)
            moves[member] = (place - aucs[number]) * share
    count = max(1, len(aucs))
    mean = float(np.mean(list(aucs.values()))) if aucs else 0.0
    alone = [size for size in sizes.values() if min(size) < 2]
    # What repeats add of it is of the same patients: as much as if they had moved together.
    rest = sampling.n_repeats * sum(newcombe_variance(mean, *size) for size in alone) / count**2
    influence = sampling.sum_by_patient(moves) / count
    n = sampling.per_repeat(n)
    return FoldAucs(aucs, left_out, n, influence, rest, list(sizes.values()))


def mean_over_classes(classes: Sequence[FoldAucs]) -> FoldAucs:
    """The mean of several classes' AUCs in each fold, where every class has one in every fold."""
    first = classes[0]
    return FoldAucs(
        {fold: float(np.mean([one.aucs[fold] for one in classes])) for fold in first.aucs},
        {},
        first.n,
        np.mean([one.influence for one in classes], axis=0),
        sum(one.rest for one in classes) / len(classes) ** 2,
        first.sizes,
    )


def mean_auc_difference(first: FoldAucs, second: FoldAucs, confidence: float) -> DifferenceTest:
    """Difference of two mean AUCs of the same patients, first minus second, paired by patient.

    Where both have the same folds, that is the mean of the folds' differences, each with DeLong's
    paired variance. `statistic` is z; the interval is Wald's, cut to [-1, 1].

    Args:
        first: of one model.
        second: of the other model, or of other scans, with the patients in the same order.
        confidence: level of the interval.

    Source: as of `fold_aucs`; the influence of a difference is the difference of the influences.
    """
    n = max(first.n, second.n)
    for one in (first, second):
        if one.problem:
            return DifferenceTest.undefined(one.problem, PAIRED, n)
    value = first.mean - second.mean
    variance = float(((first.influence - second.influence) ** 2).sum()) + first.rest + second.rest
    if variance < _TINY**2 or len(first.influence) == 1:
        value = 0.0 if abs(value) < _TINY else value
        reason = (
            ONE_PATIENT if len(first.influence) == 1 else
            "the variance is 0: no scan changes its place" if value == 0 else
            "the variance is 0: all scans differ alike"
        )  # fmt: skip
        estimate = Estimate(value, None, None, n, PAIRED, reason)
        return DifferenceTest(estimate, None, None, PAIRED, n, reason)
    error = float(np.sqrt(variance))
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * error
    method = f"{first.named}, {PAIRED}"
    estimate = Estimate(value, max(-1.0, value - half), min(1.0, value + half), n, method)
    z = value / error
    return DifferenceTest(estimate, z, float(2 * stats.norm.sf(abs(z))), method, n)


def _why_none(positive: NDArray[np.bool_], score: NDArray[np.floating]) -> str | None:
    if positive.all() or not positive.any():
        return f"no {'negative' if positive.any() else 'positive'} scan"
    missing = int(np.isnan(score).sum())
    return f"{missing} of {len(score)} scores are not numbers" if missing else None
