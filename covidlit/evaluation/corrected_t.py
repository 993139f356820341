"""How much trainings on other patients would differ: the corrected resampled t interval and test.

The models of a cross-validation share most of their training patients, so that their results vary
less between each other than those of trainings on new patients would. The correction widens the
variance of their mean by the share of the test to the training rows.

Source: Nadeau and Bengio, Machine Learning 2003;52:239; over the folds of all repeats: Bouckaert
and Frank, PAKDD 2004, LNCS 3056:3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from covidlit.evaluation.difference import DifferenceTest
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.folds import model_numbers
from covidlit.evaluation.predictions import accepted

METHOD = "corrected resampled t"
_FEW = "it takes two trainings with an AUC"
_SAME = "the trainings do not differ"
_NO_TRAINING = "a fold leaves no row to train on: these are not all folds of a cross-validation"


def training_ratios(table: pd.DataFrame) -> dict[int, float]:
    """Test rows per training row of each model of a cross-validation.

    A predictions table has no training rows. But each row is tested once in every repeat, so that
    what a fold neither tests nor validates it was trained on.

    Args:
        table: predictions of all folds, test and validation.

    Returns:
        By `covidlit.evaluation.folds.model_number`; infinite where nothing is left to train on.
    """
    known = accepted(table)
    known = known.assign(model_number=model_numbers(known))
    repeat = known["repeat"].fillna(-1)
    tested = known["part"] == "test"
    whole = known[tested].groupby(repeat[tested])["scan_id"].nunique()
    found = {}
    for number, rows in known.groupby("model_number"):
        test = int((rows["part"] == "test").sum())
        rest = int(whole[rows["repeat"].fillna(-1).iloc[0]]) - len(rows)
        found[int(str(number))] = test / rest if rest > 0 else np.inf
    return found


def corrected_interval(
    aucs: Mapping[int, float], ratios: Mapping[int, float], n: int, confidence: float
) -> Estimate:
    """The mean of the trainings' AUCs with its corrected interval, cut to [0, 1].

    Args:
        aucs: by model number, of folds that have one.
        ratios: of `training_ratios`.
        n: number of scans.
        confidence: level of the interval.
    """
    if not aucs:
        return Estimate.undefined(_FEW, n)
    values = list(aucs.values())
    mean, (error, problem) = float(np.mean(values)), _error(values, [ratios[k] for k in aucs])
    if problem:
        return Estimate(mean, None, None, n, METHOD, problem)
    half = float(stats.t.ppf(0.5 + confidence / 2, len(values) - 1)) * error
    method = f"{METHOD}, {len(values)} trainings"
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half), n, method)


def corrected_test(
    differences: Mapping[int, float], ratios: Mapping[int, float], n: int, confidence: float
) -> DifferenceTest:
    """The mean of the trainings' differences of AUCs, with the corrected t-test.

    Args:
        differences: by model number, of folds in which both models have an AUC.
        ratios, n, confidence: see `corrected_interval`.
    """
    if not differences:
        return DifferenceTest.undefined(_FEW, METHOD, n)
    values = list(differences.values())
    mean, (error, problem) = (
        float(np.mean(values)),
        _error(values, [ratios[k] for k in differences]),
    )
    if problem:
        estimate = Estimate(mean, None, None, n, METHOD, problem)
        return DifferenceTest(estimate, None, None, METHOD, n, problem)
    free = len(values) - 1
    half = float(stats.t.ppf(0.5 + confidence / 2, free)) * error
    estimate = Estimate(mean, max(-1.0, mean - half), min(1.0, mean + half), n, METHOD)
    t = mean / error
    p_value = float(2 * stats.t.sf(abs(t), free))
    return DifferenceTest(estimate, t, p_value, f"{METHOD}, {len(values)} trainings", n)


def _error(values: Sequence[float], ratios: Sequence[float]) -> tuple[float, str]:
    """Standard error of the mean, or why there is none."""
    if len(values) < 2:
        return 0.0, _FEW
    ratio = float(np.mean(ratios))
    if not np.isfinite(ratio):
        return 0.0, _NO_TRAINING
    error = float(np.sqrt((1 / len(values) + ratio) * np.var(values, ddof=1)))
    return error, "" if error > 1e-12 else _SAME
