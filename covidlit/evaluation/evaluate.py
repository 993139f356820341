"""From the predictions table to every statistic of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.cautions import cautions
from covidlit.evaluation.centre_check import centre_check, centres_left_out
from covidlit.evaluation.corrected_t import corrected_interval, training_ratios
from covidlit.evaluation.cross_validation import fold_aucs
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.folds import model_numbers
from covidlit.evaluation.multiclass import positive_class
from covidlit.evaluation.operating_point import OperatingPoint, operating_points
from covidlit.evaluation.part import SamplingOf, evaluate_folds, evaluate_part, evaluate_repeats
from covidlit.evaluation.predictions import (
    PARTS,
    accepted,
    class_score_columns,
    count_scoreless,
    is_synthetic,
    scoreless_as_refused,
    validate_predictions,
)
from covidlit.evaluation.runs import check_runs, describe_runs
from covidlit.evaluation.settings import check_settings, check_test_part
from covidlit.evaluation.ties import with_ties

FORMAT = 2
"""Number of the layout of `metrics.json`; raised when a key changes its meaning.

1: `auc` pooled the scores of all folds; 2: it is the mean of the folds' AUCs, see `auc_pooled`.
"""

HEADLINE = (
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "mcc",
)
"""Measures at the operating point. Of several folds they count the decisions of all, each taken at
its own fold's threshold: a decision, unlike a score, means the same whichever model made it."""

_OF_THE_PART = ("auc", "auc_pooled", "prevalence")


@dataclass(frozen=True)
class Evaluation:
    """All results of one predictions table.

    Attributes:
        metrics: JSON-able results; every number with its interval, n and method.
        table: the predictions, validated and with ties, with `target` 0 or 1 (1 = the class of
            interest), `class_index` (the target as it was given) and `threshold`.
    """

    metrics: dict[str, Any]
    table: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """The content of `metrics.json`: no NaN, null with a reason instead."""
        return self.metrics

    def estimate(self, measure: str, part: str = "test") -> Estimate:
        """One number with its interval.

        Args:
            measure: "auc", of several folds their mean; "auc_pooled", of several folds only;
                "prevalence"; or a measure at the operating point.
            part: "validation" or "test".

        Raises:
            KeyError: there is no such part or measure.
        """
        record = self.metrics["parts"][part]
        source = record if measure in _OF_THE_PART else record["at_operating_point"]
        return Estimate.from_dict(source[measure])

    def summary(self) -> pd.DataFrame:
        """The main results as a table: part, measure, value, low, high, n, method, reason."""
        rows = []
        for part in self.metrics["parts"]:
            pooled = ("auc_pooled",) if "auc_pooled" in self.metrics["parts"][part] else ()
            for measure in ("auc", *pooled, *HEADLINE, "prevalence"):
                estimate = self.estimate(measure, part)
                rows.append({"part": part, "measure": measure} | estimate.to_dict())
        columns = ["part", "measure", "value", "low", "high", "n", "method", "reason"]
        return pd.DataFrame(rows).reindex(columns=columns)


def evaluate(
    predictions: pd.DataFrame,
    *,
    operating_point: str | float = "auto",
    subgroups: Sequence[str] | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Evaluation:
    """Compute every statistic of one run, or of the folds of one cross-validation together.

    Of several folds an AUC is the mean of the folds' AUCs (`covidlit.evaluation.cross_validation`);
    decisions are counted over all folds, each at its own fold's threshold. Repeats of a
    cross-validation are further folds of the same patients, which never count twice.

    Args:
        predictions: table of contract 6 (see `PREDICTIONS_SCHEMA`) with a test part; see
            `covidlit.evaluation.runs` for several runs in it. A row that is ok without a score
            counts as refused.
        operating_point: "youden", "sensitivity>=x", "specificity>=x" or "cost:a:b@p" (see
            `covidlit.evaluation.operating_point.choose_threshold`), applied to the validation part
            of each fold; a number, fixed beforehand; or "auto": Youden's rule where the
            validation part allows it, otherwise 0.5, marked as such.
        subgroups: columns to analyse; by default those of `DEFAULT_SUBGROUPS` that are present.
        n_bootstrap: replicates of the patient bootstrap.
        seed: seed of the bootstrap and the permutations.
        confidence: level of every interval.

    Raises:
        PredictionsError: the table breaks its contract, holds several runs that are not folds, has
            no scored test scan, or a setting cannot be applied.
    """
    check_settings(
        operating_point=operating_point,
        subgroups=subgroups,
        n_bootstrap=n_bootstrap,
        confidence=confidence,
    )
    table = validate_predictions(scoreless_as_refused(predictions))
    check_runs(table)
    check_test_part(table)
    table, positive = as_binary(table)
    points = operating_points(table, operating_point)
    folds = list(points)
    table["threshold"] = [
        points[None if pd.isna(number) else int(number)].threshold
        for number in model_numbers(table)
    ]

    def sampling_of(rows: pd.DataFrame) -> Sampling:
        return Sampling.of(rows, confidence=confidence, n_bootstrap=n_bootstrap, seed=seed)

    parts: dict[str, Any] = {}
    for part in PARTS:
        rows = table[table["part"] == part]
        if len(accepted(rows)):
            parts[part] = evaluate_part(rows, sampling_of, subgroups)
            parts[part]["folds"] = evaluate_folds(rows, sampling_of) if len(folds) > 1 else []
            parts[part]["repeats"] = evaluate_repeats(rows, sampling_of)
    if len(folds) > 1:
        parts["test"]["auc_corrected"] = _corrected(table, sampling_of, confidence).to_dict()
    scored = accepted(table)
    checked = scored if len(folds) == 1 else scored[scored["part"] == "test"]
    check = centre_check(checked, sampling_of(checked))
    metrics: dict[str, Any] = {
        "format": FORMAT,
        "synthetic": is_synthetic(table),
        "run": describe_runs(table),
        "settings": {
            "operating_point": operating_point,
            "subgroups": None if subgroups is None else list(subgroups),
            "n_bootstrap": n_bootstrap,
            "seed": seed,
            "confidence": confidence,
        },
        "positive_class": positive,
        "operating_points": [_described(point) for point in points.values()],
        "parts": parts,
        "without_score": count_scoreless(table),
        "centre_check": {
            "on": " and ".join(part for part in PARTS if part in set(checked["part"])) + " scans",
            **check,
            "left_out": centres_left_out(table, checked, check["strata"]),
        },
    }
    metrics["cautions"] = cautions(metrics)
    return Evaluation(metrics, table)


def _corrected(table: pd.DataFrame, sampling_of: SamplingOf, confidence: float) -> Estimate:
    rows = accepted(table[table["part"] == "test"])
    target, score = rows["target"].to_numpy(bool), rows["score"].to_numpy(float)
    sampling = sampling_of(rows)
    found = fold_aucs(target, score, sampling)
    return corrected_interval(found.aucs, training_ratios(table), sampling.n_scans, confidence)


def _described(point: OperatingPoint) -> dict[str, Any]:
    return point.to_dict() | {"sentence": point.sentence()}


def as_binary(table: pd.DataFrame) -> tuple[pd.DataFrame, str | None]:
    """A validated table with `target` 1 for the class of interest, and the name of that class.

    This is how a table enters statistics: its scores become comparable (`with_ties`).
    `class_index` keeps the target as it was given; the name is None for a table of two classes
    whose target 1 it is.
    """
    index, columns = positive_class(table), class_score_columns(table)
    table = with_ties(table).assign(class_index=table["target"])
    if index is None:
        return table, None
    table["target"] = (table["class_index"] == index).astype("Int64")
    return table, columns[index].removeprefix("score_")
