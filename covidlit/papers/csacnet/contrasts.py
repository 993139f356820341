"""Figure 2, left: S1 against S2 and S3 together and each alone, each at its own threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.errors import PredictionsError
from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.classification import confusion
from covidlit.evaluation.operating_point import FIXED, OperatingPoint
from covidlit.evaluation.part import SamplingOf, curve_record
from covidlit.evaluation.predictions import accepted
from covidlit.evaluation.proportions import proportion
from covidlit.evaluation.roc import roc_curve
from covidlit.papers.csacnet.subsets import Subsets
from covidlit.papers.methods import Method, with_threshold

CONTRASTS = {"S1 vs S2 + S3": "negative", "S1 vs S2": "S2", "S1 vs S3": "S3"}
"""The paper's three contrasts, and the scans that S1 is held against in each."""


def contrasts(method: Method, subsets: Subsets) -> list[dict[str, Any]]:
    """The three contrasts of one method, JSON-able.

    Each threshold is chosen by the method's rule on the validation scans of the contrast, so never
    on a test scan; where these are lacking it is 0.5, and the operating point says so.

    Returns:
        One record per contrast: name, against (what S1 is held against), n_positive, n_negative,
        auc, sensitivity, specificity, confusion, roc (None where there is no curve) and
        operating_points, one per fold.
    """
    records = []
    for name, against in CONTRASTS.items():
        masks = subsets.masks(method.table)
        rows = method.table[masks["S1"] | masks[against]]
        points = method.points if against == "negative" else contrast_points(rows, method)
        test = accepted(with_threshold(rows, points))
        test = test[test["part"] == "test"]
        called = (test["score"] >= test["threshold"]).to_numpy(bool)
        records.append(
            {
                "name": name,
                "against": _described(against, subsets),
                **discrimination(test, called, method.sampling_of),
                "operating_points": [
                    point.to_dict() | {"sentence": point.sentence()} for point in points.values()
                ],
            }
        )
    return records


def contrast_points(rows: pd.DataFrame, method: Method) -> dict[int | None, OperatingPoint]:
    """The operating points of some rows by the method's rule; 0.5, with a note, where it fails."""
    if len(rows):
        try:
            points = method.points_of(rows)
        except PredictionsError as problem:
            points = {fold: _fixed(fold, problem.what.rstrip(".")) for fold in method.points}
    else:
        points = {}
    note = "this contrast has no scan"
    return {fold: points.get(fold) or _fixed(fold, note) for fold in method.points}


def discrimination(
    test: pd.DataFrame, called: NDArray[np.bool_], sampling_of: SamplingOf
) -> dict[str, Any]:
    """AUC, ROC curve, and sensitivity and specificity of given calls.

    Args:
        test: scored rows with `target` 0 or 1.
        called: shape (n,), true where a scan is called positive.
        sampling_of: gives the sampling of some rows.
    """
    target, score = test["target"].to_numpy(bool), test["score"].to_numpy(float)
    sampling = sampling_of(test)
    both = bool(target.any() and not target.all())
    return {
        "n_positive": int(target.sum()),
        "n_negative": int((~target).sum()),
        "auc": sampled_auc(target, score, sampling).to_dict(),
        "sensitivity": proportion(called, target, sampling, "no positive scan").to_dict(),
        "specificity": proportion(~called, ~target, sampling, "no negative scan").to_dict(),
        "confusion": confusion(target, called),
        "roc": curve_record(roc_curve(target, score, sampling)) if both else None,
    }


def _fixed(fold: int | None, note: str) -> OperatingPoint:
    return OperatingPoint(FIXED, "fixed", None, 0, 0, fold, note)


def _described(against: str, subsets: Subsets) -> str:
    classes = {"S2": f"class {subsets.s2!r}", "S3": f"class {subsets.s3!r}"}
    return classes.get(against, "all negative scans")
