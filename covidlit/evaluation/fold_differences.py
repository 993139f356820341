"""Differences of cross-validated models by fold, and what they say of trainings to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.corrected_t import corrected_test, training_ratios
from covidlit.evaluation.cross_validation import fold_aucs
from covidlit.evaluation.folds import fold_and_repeat
from covidlit.evaluation.seed_average import Scores, same_folds


def differences_by_fold(
    scores: Mapping[str, Scores], target: NDArray[np.bool_], sampling: Sampling
) -> list[dict[str, Any]]:
    """AUC differences fold by fold, of models with the same folds; null without both AUCs.

    Args:
        scores: of each model, shape (n,).
        target: shape (n,), true for positive scans.
        sampling: of the n scans.
    """
    records = []
    for a, b in combinations(scores, 2):
        own = replace(sampling, fold=scores[a].fold)
        if not own.cross_validated or not same_folds(scores[a], scores[b]):
            continue
        first, second = (fold_aucs(target, scores[name].score, own) for name in (a, b))
        for number in own.rows_by_fold():
            fold, repeat = fold_and_repeat(number)
            record = {"measure": "auc", "first": a, "second": b, "fold": fold}
            record |= {} if repeat is None else {"repeat": repeat}
            if number in first.left_out:
                records.append({**record, "value": None, "reason": first.left_out[number]})
            else:
                records.append({**record, "value": first.aucs[number] - second.aucs[number]})
    return records


def differences_over_trainings(
    scores: Mapping[str, Scores],
    target: NDArray[np.bool_],
    sampling: Sampling,
    tables: Mapping[str, pd.DataFrame],
) -> list[dict[str, Any]]:
    """The corrected resampled t-test of models with the same folds, of all pairs.

    It holds how much trainings on other patients would differ, which the tests of these trainings
    do not. Not corrected for the number of pairs.

    Args:
        scores, target, sampling: as of `differences_by_fold`.
        tables: predictions of each model, test and validation.
    """
    records = []
    for a, b in combinations(scores, 2):
        own = replace(sampling, fold=scores[a].fold)
        if not own.cross_validated or not same_folds(scores[a], scores[b]):
            continue
        first, second = (fold_aucs(target, scores[name].score, own).aucs for name in (a, b))
        differences = {number: first[number] - second[number] for number in first}
        ratios = training_ratios(tables[a])
        test = corrected_test(differences, ratios, sampling.n_scans, sampling.confidence)
        records.append({"measure": "auc", "first": a, "second": b, **test.to_dict()})
    return records
