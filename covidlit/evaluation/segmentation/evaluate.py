"""All statistics of a segmentation, from its three tables alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from covidlit.counted import counted
from covidlit.errors import PredictionsError
from covidlit.evaluation.segmentation.part import part_metrics
from covidlit.evaluation.segmentation.tables import (
    DETECTIONS,
    OBJECTS,
    SLICES,
    classes_of,
    used,
)
from covidlit.tasks.matching import HIT
from covidlit.tasks.segmentation_metrics import LUNG

FORMAT = 1

SCORE = 0.5
"""Score from which a detection counts where one decision is needed."""

DEFINITIONS = {
    "dice": "2 common / (predicted + true) pixels, of all slices' pixels together, from the map of "
    "classes of the semantic branch. Of the lung: the lung field with the lesions in it.",
    "dice_of_instances": "the same of the union of the detections that score at least the "
    "threshold.",
    "iou": "common pixels by those of either.",
    "map": "COCO's mean average precision over intersections over union of 0.5 to 0.95 and the "
    "classes of which there is an object. Crowds, and pieces below the smallest size of an object, "
    "are regions to ignore (COCO's iscrowd): a detection that lies there is neither right nor "
    "wrong.",
    "froc": "share of the lesions, whatever the class, that a detection meets with at least the "
    "intersection over union of a hit, at so many detections per slice that meet none. A second "
    "detection of the same lesion is neither a hit nor a false positive; nor is one that lies by "
    "half or more on regions to ignore, or meets one of them as it would a lesion.",
    "surface": "in each slice with lesions in both: distances of all outline pixels to the other "
    "outline, their mean and the larger 95th percentile; then the mean over slices.",
    "volume": "of the slices that were looked at, by scan: predicted - true.",
    "slice_accuracy": "share of the slices in which a lesion is there and detected (at the "
    "threshold), or neither; slices whose lesions are all below the smallest size of an object are "
    "left out. The severity paper reports a test accuracy of 90% on 20 slices and "
    "does not define it: the two numbers cannot be compared.",
    "slice_agreement": "share of the slices whose lesions have a Dice of at least 0.5, or that "
    "have none and are given none: nearer to what the paper says of its slices, that the results "
    "basically coincided with the opinions of experts.",
    "without_lesion": "slices without a lesion, where all its classes were looked for: detections "
    "at the threshold per slice, share of the slices with one, and pixels called lesion by pixels "
    "of the lung.",
}
"""What the numbers are, for `metrics.json` and the report."""


@dataclass(frozen=True)
class SegmentationEvaluation:
    """Statistics as plain types, and what each slice of the test part came to.

    Args:
        metrics: content of `metrics.json`.
        by_slice: one row per slice of the test part: `slice_id`, `dice`, ... in the table's order.
    """

    metrics: dict[str, Any]
    by_slice: pd.DataFrame


def evaluate_segmentation(
    tables: Mapping[str, pd.DataFrame],
    *,
    seed: int = 0,
    n_bootstrap: int = 2000,
    confidence: float = 0.95,
    score_threshold: float = SCORE,
    hit_overlap: float = HIT,
) -> SegmentationEvaluation:
    """Statistics of the validation and the test part, with intervals by patient.

    Args:
        tables: `slices`, `detections` and `objects`.
        seed, n_bootstrap, confidence: of the bootstrap of patients.
        score_threshold: of a detection where one decision is needed.
        hit_overlap: intersection over union with a lesion from which it is found.

    Raises:
        PredictionsError: no slice of the test part was looked at.
    """
    slices = tables[SLICES]
    test = slices[slices["part"] == "test"]
    if len(used(test)) == 0:
        raise PredictionsError(
            "no slice of the test part was looked at.",
            where="slices",
            fix="choose a split with a test part whose slices can be read.",
        )
    sampling = {"seed": seed, "n_bootstrap": n_bootstrap, "confidence": confidence}
    parts, by_slice = {}, pd.DataFrame()
    for name in ("validation", "test"):
        own = slices[slices["part"] == name]
        if len(used(own)) == 0:
            continue
        parts[name], rows = part_metrics(
            used(own),
            placed(tables[DETECTIONS], used(own)),
            placed(tables[OBJECTS], used(own)),
            score_threshold=score_threshold,
            hit_overlap=hit_overlap,
            **sampling,
        )
        parts[name]["n_refused"] = len(own) - len(used(own))
        by_slice = rows if name == "test" else by_slice
    first = slices.iloc[0]
    folds = sorted({int(fold) for fold in slices["fold"].dropna().unique()})
    metrics = {
        "format": FORMAT,
        "kind": "segmentation",
        "run": {
            "run_id": str(first["run_id"]), "model": str(first["model"]),
            "seed": int(first["seed"]), "folds": folds,
        },
        "classes": classes_of(slices),
        "settings": {
            **sampling, "score_threshold": score_threshold, "hit_overlap": hit_overlap,
        },
        "definitions": DEFINITIONS,
        "parts": parts,
        "synthetic": _synthetic(slices),
        "cautions": _cautions(parts["test"], slices),
    }  # fmt: skip
    return SegmentationEvaluation(metrics, by_slice)


def placed(items: pd.DataFrame, slices: pd.DataFrame) -> pd.DataFrame:
    """Detections or objects of slices, with `place`, the row of their slice.

    Those of a class that nobody looked for in their slice are neither right nor wrong, and left
    out.
    """
    keys = ["part", "slice_id", *(["fold"] if slices["fold"].notna().any() else [])]
    where = slices[keys].assign(place=np.arange(len(slices)), known=slices["annotated"])
    found = items.merge(where, on=keys, how="inner")
    known = [
        name in str(names).split(",")
        for name, names in zip(found["class_name"], found["known"], strict=True)
    ]
    return found[np.array(known, dtype=bool)].drop(columns="known").reset_index(drop=True)


def _synthetic(slices: pd.DataFrame) -> bool | None:
    if "synthetic" not in slices:
        return None
    return bool(slices["synthetic"].fillna(False).astype(bool).any())


def _cautions(test: Mapping[str, Any], slices: pd.DataFrame) -> list[dict[str, str]]:
    found = []
    if test["n_patients"] < 10:
        found.append(
            {
                "code": "few_patients",
                "text": f"The test part has {counted(test['n_patients'], 'patient')}: the "
                "intervals, which come from drawing patients, say little with so few.",
            }
        )
    if test["n_lesions"] == 0:
        found.append({"code": "no_lesion", "text": "The test part has no lesion."})
    if LUNG in classes_of(slices) and test["overlap"][LUNG]["dice"]["value"] is None:
        found.append({"code": "no_lung", "text": "The test part has no lung."})
    return found
