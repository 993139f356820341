"""Refused scans: counted, listed with reasons, and taken as errors in a sensitivity analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.predictions import of_one_repeat, refused
from covidlit.evaluation.proportions import proportion


def refusals(
    table: pd.DataFrame, decision: NDArray[np.bool_], sampling: Sampling
) -> dict[str, Any]:
    """What was refused in one part, and what the results would be if each were an error.

    A model that fails on hard scans looks better than it is when they are left out. So every
    refused scan is also taken as wrong: a positive one as missed, a negative one as called
    positive, and for the AUC as scored 0 and 1.

    Args:
        table: all rows of one part, refused ones included, with `target` 0 or 1.
        decision: shape (n,), true where a scan is called positive; ignored for refused scans.
        sampling: how the n scans were sampled.

    Returns:
        Counts by class and by reason, the list of scans, and `counted_as_errors` (None if nothing
        was refused).
    """
    failed = (table["status"] != "ok").to_numpy(bool)
    target = table["target"].to_numpy(bool)
    once = of_one_repeat(table)
    rows = refused(once)
    n_positive = int(rows["target"].sum())
    record: dict[str, Any] = {
        "n": len(rows),
        "n_of": len(once),
        "n_positive": n_positive,
        "n_negative": len(rows) - n_positive,
        "share": proportion(failed, np.ones(len(table), bool), sampling).to_dict(),
        "reasons": {str(key): int(n) for key, n in rows["reason"].value_counts().items()},
        "scans": [
            {
                "scan_id": row["scan_id"],
                "centre": None if pd.isna(row["centre"]) else row["centre"],
                "class_name": None if pd.isna(row["class_name"]) else row["class_name"],
                "target": int(row["target"]),
                "reason": row["reason"],
            }
            for row in rows.to_dict("records")
        ],
        "counted_as_errors": None,
    }
    if failed.any():
        called = np.where(failed, ~target, decision)
        score = np.where(failed, np.where(target, 0.0, 1.0), table["score"].to_numpy(float))
        record["counted_as_errors"] = {
            "sensitivity": proportion(called, target, sampling, "no positive scan").to_dict(),
            "specificity": proportion(~called, ~target, sampling, "no negative scan").to_dict(),
            "accuracy": proportion(called == target, np.ones(len(table), bool), sampling).to_dict(),
            "auc": sampled_auc(target, score, sampling).to_dict(),
        }
    return record


def misclassified(
    table: pd.DataFrame,
    decision: NDArray[np.bool_],
    threshold: NDArray[np.float64],
    limit: int = 20,
) -> list[dict[str, Any]]:
    """The scans called wrongly, those furthest from their threshold first.

    Of several repeats of a cross-validation the scans that most repeats call wrongly, with the
    means of their scores and thresholds.

    Args:
        table: scored rows with `target` 0 or 1.
        decision: shape (n,), true where the scan is called positive.
        threshold: shape (n,), threshold of each scan's fold.
        limit: how many to list.
    """
    wrong = decision != table["target"].to_numpy(bool)
    if table["repeat"].nunique() > 1:
        given = table.assign(threshold=threshold, wrong=wrong.astype(float))
        means = given.groupby("scan_id")[["score", "threshold", "wrong"]].transform("mean")
        table = table.assign(**means).drop_duplicates("scan_id")
        wrong, threshold = (table[name].to_numpy(float) for name in ("wrong", "threshold"))
        wrong = wrong > 0.5
    margin = np.abs(table["score"].to_numpy(float) - threshold)
    order = [place for place in np.argsort(-margin, kind="stable") if wrong[place]][:limit]
    records = []
    for place in order:
        row = table.iloc[int(place)]
        records.append(
            {
                "scan_id": str(row["scan_id"]),
                "error": "missed" if row["target"] == 1 else "false alarm",
                "class_name": None if pd.isna(row["class_name"]) else str(row["class_name"]),
                "centre": None if pd.isna(row["centre"]) else str(row["centre"]),
                "score": float(row["score"]),
                "threshold": float(threshold[place]),
            }
        )
    return records
