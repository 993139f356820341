"""All measures of one part (validation or test) of a predictions table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.scan_notes import count_notes
from covidlit.evaluation.auc import auc_estimate, sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.calibration import calibration
from covidlit.evaluation.classification import classification_measures, confusion
from covidlit.evaluation.decision_curve import decision_curve
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.folds import fold_and_repeat, model_numbers
from covidlit.evaluation.multiclass import class_names, multiclass
from covidlit.evaluation.predictions import accepted, of_one_repeat
from covidlit.evaluation.proportions import proportion
from covidlit.evaluation.refusals import misclassified, refusals
from covidlit.evaluation.roc import RocCurve, roc_curve
from covidlit.evaluation.subgroups import MISSING, subgroups
from covidlit.evaluation.thresholds import threshold_table

SamplingOf = Callable[[pd.DataFrame], Sampling]


def evaluate_part(
    rows: pd.DataFrame, sampling_of: SamplingOf, columns: Sequence[str] | None = None
) -> dict[str, Any]:
    """Measures of one part, JSON-able.

    Args:
        rows: all rows of the part, refused ones included, with a column `threshold`.
        sampling_of: gives the sampling of some rows.
        columns: subgroup columns, None for the default ones.
    """
    table = accepted(rows)
    sampling = sampling_of(table)
    target, score = table["target"].to_numpy(bool), table["score"].to_numpy(float)
    threshold = table["threshold"].to_numpy(float)
    called = score >= threshold
    everything = np.ones_like(target)
    all_called = (rows["score"].fillna(0.0) >= rows["threshold"]).to_numpy(bool)
    initially_negative = _initially_negative(table)
    measures = classification_measures(target, called, sampling)
    once, scored = of_one_repeat(rows), of_one_repeat(table)
    n_positive = int(scored["target"].sum())
    record: dict[str, Any] = {
        "n_scans": len(once),
        "n_scored": len(scored),
        "n_refused": len(once) - len(scored),
        "n_patients": sampling.n_patients,
        "n_repeats": sampling.n_repeats,
        "several_scans_per_patient": sampling.several_scans,
        "n_positive": n_positive,
        "n_negative": len(scored) - n_positive,
        "by_class": _counts(scored["class_name"]),
        "by_centre": _counts(scored["centre"]),
        "prevalence": proportion(target, everything, sampling).to_dict(),
        "score_spread": score_spread(score),
        "auc": sampled_auc(target, score, sampling).to_dict(),
        "auc_logit": _auc_logit(target, score, sampling).to_dict(),
        "at_operating_point": {name: value.to_dict() for name, value in measures.items()},
        "confusion": confusion(target, called, sampling.n_repeats),
        "roc": None,
        "threshold_table": threshold_table(target, score, sampling, initially_negative),
        "calibration": calibration(target, score, sampling),
        "decision_curve": decision_curve(target, score, sampling),
        "subgroups": subgroups(table, called, sampling, columns),
        "notes": count_notes(scored["notes"]) if "notes" in scored else {},
        "refused": refusals(rows, all_called, sampling_of(rows)),
        "misclassified": misclassified(table, called, threshold),
    }
    if sampling.cross_validated:
        pooled = replace(sampling, fold=None)
        record["auc_pooled"] = sampled_auc(target, score, pooled).to_dict()
    if target.any() and not target.all():
        record["roc"] = curve_record(roc_curve(target, score, sampling))
        if sampling.single_patient:
            record["roc"]["band"] = None
    if class_names(table) is not None:
        record["multiclass"] = multiclass(
            table.assign(target=table["class_index"]), sampling_of(table)
        )
    return record


def evaluate_folds(rows: pd.DataFrame, sampling_of: SamplingOf) -> list[dict[str, Any]]:
    """AUC, sensitivity and specificity of each fold; `rows` as in `evaluate_part`."""
    records, table = [], accepted(rows)
    for number, part in table.groupby(model_numbers(table)):
        fold, repeat = fold_and_repeat(int(str(number)))
        target, score = part["target"].to_numpy(bool), part["score"].to_numpy(float)
        called = score >= part["threshold"].to_numpy(float)
        sampling = sampling_of(part)
        records.append(
            {
                "fold": fold,
                **({} if repeat is None else {"repeat": repeat}),
                "run_id": None if part["run_id"].isna().all() else str(part["run_id"].iloc[0]),
                "n": len(part),
                "n_positive": int(target.sum()),
                "threshold": float(part["threshold"].iloc[0]),
                "auc": sampled_auc(target, score, sampling).to_dict(),
                "sensitivity": proportion(called, target, sampling, "no positive scan").to_dict(),
                "specificity": proportion(~called, ~target, sampling, "no negative scan").to_dict(),
            }
        )
    return records


def evaluate_repeats(rows: pd.DataFrame, sampling_of: SamplingOf) -> list[dict[str, Any]]:
    """AUC of each repeat of a cross-validation: mean of its folds, and pooled; `rows` as before.

    Empty where there is one repeat only.
    """
    table = accepted(rows)
    if table["repeat"].nunique() < 2:
        return []
    records = []
    for repeat, part in table.groupby("repeat"):
        target, score = part["target"].to_numpy(bool), part["score"].to_numpy(float)
        called, sampling = score >= part["threshold"].to_numpy(float), sampling_of(part)
        pooled = sampled_auc(target, score, replace(sampling, fold=None))
        records.append(
            {
                "repeat": int(str(repeat)),
                "auc": sampled_auc(target, score, sampling).to_dict(),
                "auc_pooled": pooled.to_dict(),
                "sensitivity": proportion(called, target, sampling, "no positive scan").to_dict(),
                "specificity": proportion(~called, ~target, sampling, "no negative scan").to_dict(),
            }
        )
    return records


def _auc_logit(
    target: NDArray[np.bool_], score: NDArray[np.floating], sampling: Sampling
) -> Estimate:
    if sampling.cross_validated:
        return Estimate.undefined(
            "the interval of auc is made on the logit scale", sampling.n_scans
        )
    if sampling.clustered:
        reason = "DeLong's variance needs one scan per patient; see auc, from the patient bootstrap"
        return Estimate.undefined(reason, len(target))
    return auc_estimate(target, score, sampling.confidence, "delong-logit")


def _initially_negative(table: pd.DataFrame) -> np.ndarray | None:
    if "rtpcr_initial" not in table.columns:
        return None
    return (
        (table["rtpcr_initial"].astype("string").str.lower() == "negative")
        .fillna(False)
        .to_numpy(bool)
    )


def score_spread(score: NDArray[np.floating]) -> dict[str, float]:
    """How many different scores there are, their range, and the share of the commonest one.

    Args:
        score: shape (n,), n >= 1.
    """
    values, counts = np.unique(score, return_counts=True)
    return {
        "n_distinct": len(values),
        "lowest": float(values[0]),
        "highest": float(values[-1]),
        "commonest": float(values[counts.argmax()]),
        "commonest_share": float(counts.max() / len(score)),
    }


def _counts(values: pd.Series) -> dict[str, int]:
    counts = values.astype("string").fillna(MISSING).value_counts().sort_index()
    return {str(name): int(n) for name, n in counts.items()}


def curve_record(roc: RocCurve) -> dict[str, Any]:
    """The curve without the points inside its straight runs, and its band; JSON-able."""
    step = np.diff(np.stack([roc.fpr, roc.tpr]), axis=1)
    turn = np.abs(step[0, 1:] * step[1, :-1] - step[1, 1:] * step[0, :-1]) > 1e-15
    keep = np.r_[True, turn, True]
    threshold = [None if np.isinf(value) else float(value) for value in roc.threshold[keep]]
    return {
        "fpr": roc.fpr[keep].tolist(),
        "tpr": roc.tpr[keep].tolist(),
        "threshold": threshold,
        "band": {
            "fpr": roc.grid.round(6).tolist(),
            "low": roc.low.round(6).tolist(),
            "high": roc.high.round(6).tolist(),
            "method": roc.method,
        },
    }
