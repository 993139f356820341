"""More than two classes: one-vs-rest AUCs and the confusion matrix of the most probable class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from covidlit.errors import PredictionsError
from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import Sampling, Weights, weighted_auc
from covidlit.evaluation.cross_validation import fold_aucs, mean_over_classes
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.folds import fold_name
from covidlit.evaluation.predictions import accepted, class_score_columns
from covidlit.evaluation.proportions import proportion


def class_names(table: pd.DataFrame) -> list[str] | None:
    """Classes of a table with more than two `score_<class>` columns, in the order of the index."""
    names = [column.removeprefix("score_") for column in class_score_columns(table)]
    return names if len(names) > 2 else None


def positive_class(table: pd.DataFrame) -> int | None:
    """Index of the class whose probability `score` is; None for a binary table without classes.

    Raises:
        PredictionsError: targets and classes do not fit, or `score` equals no `score_<class>`.
    """
    names = class_names(table)
    if names is None:
        if table["target"].max() > 1:
            raise PredictionsError(
                f"target {table['target'].max()} in a table without a score per class.",
                where="predictions",
                fix="give one score_<class> column per class, or targets 0 and 1.",
            )
        return 0 if _score_is_of_the_first(table) else None
    if table["target"].max() >= len(names):
        raise PredictionsError(
            f"target {table['target'].max()}, but there are only {len(names)} score_<class> "
            f"columns: {', '.join(names)}.",
            where="predictions",
            fix="the columns stand in the order of the class index, from 0.",
        )
    rows = accepted(table)
    for index, column in enumerate(class_score_columns(table)):
        if len(rows) and np.allclose(rows["score"], rows[column], atol=1e-6, equal_nan=False):
            return index
    raise PredictionsError(
        "the column 'score' equals none of the score_<class> columns.",
        where="predictions",
        fix="let score be the probability of the class of interest, such as score_covid.",
    )


def _score_is_of_the_first(table: pd.DataFrame) -> bool:
    """Whether a table has two classes with a score each, and `score` is that of target 0."""
    rows, columns = accepted(table), class_score_columns(table)
    if len(columns) != 2 or rows.empty:
        return False
    score, (first, second) = rows["score"], (rows[column] for column in columns)
    return (
        np.allclose(score, first, atol=1e-6)
        and np.allclose(first + second, 1, atol=1e-6)
        and not np.allclose(score, second, atol=1e-6)
    )


def multiclass(table: pd.DataFrame, sampling: Sampling) -> dict[str, Any]:
    """Measures of a multi-class table.

    Args:
        table: scored rows of one part; `target` is the class index.
        sampling: how these scans were sampled.

    Returns:
        `classes`; `one_vs_rest`: AUC of each class against the others; `macro_auc`: their mean;
        `accuracy`, and `confusion` (row: true class, column: most probable class).
    """
    names = class_names(table) or []
    scores = table[class_score_columns(table)].to_numpy(float)
    target = table["target"].to_numpy(int)
    guess = scores.argmax(axis=1)
    matrix = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(matrix, (target, guess), 1)
    return {
        "classes": names,
        "one_vs_rest": {
            name: sampled_auc(target == index, scores[:, index], sampling).to_dict()
            for index, name in enumerate(names)
        },
        "macro_auc": _macro_auc(target, scores, sampling).to_dict(),
        "accuracy": proportion(guess == target, np.ones(len(target), bool), sampling).to_dict(),
        "confusion": _of_a_repeat(matrix, sampling.n_repeats),
    }


def _of_a_repeat(matrix: np.ndarray, n_repeats: int) -> list[list[int | float]]:
    """Counts; of several repeats the mean counts of a repeat, to a tenth."""
    if n_repeats == 1:
        return matrix.tolist()
    return (matrix / n_repeats).round(1).tolist()


def _macro_auc(target: np.ndarray, scores: np.ndarray, sampling: Sampling) -> Estimate:
    classes = range(scores.shape[1])
    absent = [index for index in classes if (target == index).sum() in (0, len(target))]
    if absent:
        return Estimate.undefined("a class has no scan in this part", sampling.n_scans)

    if sampling.cross_validated:
        each = [fold_aucs(target == index, scores[:, index], sampling) for index in classes]
        lacking = sorted({fold for one in each for fold in one.left_out})
        if lacking:
            named = ", ".join(map(fold_name, lacking))
            return Estimate.undefined(f"a class has no scan in fold {named}", sampling.n_scans)
        return mean_over_classes(each).estimate(sampling.confidence)

    def mean_auc(weights: Weights) -> np.ndarray:
        each = [weighted_auc(target == index, scores[:, index], weights) for index in classes]
        return np.mean(each, axis=0)

    value = float(mean_auc(np.ones((1, len(target))))[0])
    interval = sampling.percentile(sampling.distribution(mean_auc), value)
    method = "patient bootstrap, percentile"
    if interval is None:
        return Estimate(value, None, None, sampling.n_scans, method, "the replicates do not vary")
    return Estimate(value, *interval, sampling.n_scans, method)
