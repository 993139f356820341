"""The statistics of one part of a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import proportion
from covidlit.evaluation.segmentation.froc import froc_curve, match_slices, sensitivity_estimates
from covidlit.evaluation.segmentation.intervals import ratio_estimate
from covidlit.evaluation.segmentation.overlap import (
    LESION,
    PixelCounts,
    count_pixels,
    dice_by_slice,
    dice_estimate,
    groups_of,
    iou_estimate,
    masks_of,
)
from covidlit.evaluation.segmentation.precision import precision_estimates
from covidlit.evaluation.segmentation.tables import PREDICTED, TRUTH, is_ignored
from covidlit.evaluation.segmentation.volume import volume_errors, volumes_of_scans
from covidlit.scans.run_length import areas, decode_masks, intersection, union
from covidlit.scans.surface import surface_distance
from covidlit.tasks.segmentation_metrics import LUNG

_AGREES = 0.5


def part_metrics(
    slices: pd.DataFrame,
    detections: pd.DataFrame,
    objects: pd.DataFrame,
    *,
    score_threshold: float,
    hit_overlap: float,
    **settings: Any,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The statistics of a part, as plain types, and what each slice came to.

    Args:
        slices: of the part, those that were looked at.
        detections, objects: with `place`, the row of their slice; objects may be `ignored`.
        score_threshold, hit_overlap: see `evaluate_segmentation`.
        settings: seed, n_bootstrap and confidence.
    """
    sampling = Sampling(slices["patient_id"].to_numpy(str), **settings)
    groups = groups_of(slices)
    counts = {name: count_pixels(slices, name, members) for name, members in groups.items()}
    sure = detections[detections["score"] >= score_threshold]
    regions, found = objects[objects["class_name"] != LUNG], sure[sure["class_name"] != LUNG]
    lesions = regions[~is_ignored(regions)]
    every = detections[detections["class_name"] != LUNG]
    matches = match_slices(slices, every, regions, hit_overlap)
    n_lesions = np.bincount(lesions["place"], minlength=len(slices))
    n_found = np.bincount(found["place"], minlength=len(slices))
    surfaces, unit = _surfaces(slices, groups[LESION])
    by_slice = _by_slice(slices, counts[LESION], n_lesions, n_found)
    metrics = {
        "n_slices": len(slices),
        "n_scans": int(slices["scan_id"].nunique()),
        "n_patients": sampling.n_patients,
        "n_slices_with_lesion": int((n_lesions > 0).sum()),
        "n_lesions": int(n_lesions.sum()),
        "n_detections": len(sure),
        "overlap": {
            name: {
                "dice": dice_estimate(own, sampling).to_dict(),
                "iou": iou_estimate(own, sampling).to_dict(),
                "dice_of_instances": dice_estimate(
                    _instances(slices, sure, groups[name], name, own), sampling
                ).to_dict(),
            }
            for name, own in counts.items()
        },
        "map": _plain(precision_estimates(slices, detections, objects, sampling)),
        "froc": _plain(sensitivity_estimates(matches, sampling)),
        "froc_curve": froc_curve(matches),
        "surface": {"unit": unit, **_plain(_surface_estimates(surfaces, sampling, len(slices)))},
        "volume": {
            name: _plain(volume_errors(volumes_of_scans(slices, own), **settings))
            for name, own in counts.items()
            if name in (LESION, LUNG)
        },
        "slices": _slice_measures(slices, by_slice, sampling, groups[LESION]),
        "without_lesion": _plain(
            _without_lesion(slices, groups[LESION], counts, n_lesions, n_found, sampling)
        ),
    }
    return metrics, by_slice


def _plain(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_dict() for name, estimate in estimates.items()}


def _by_slice(
    slices: pd.DataFrame,
    lesion: PixelCounts,
    n_lesions: NDArray[np.integer],
    n_found: NDArray[np.integer],
) -> pd.DataFrame:
    return slices.assign(
        dice=dice_by_slice(lesion),
        true_pixels=lesion.true,
        predicted_pixels=lesion.predicted,
        n_lesions=n_lesions,
        n_detected=n_found,
    )


def _instances(
    slices: pd.DataFrame,
    sure: pd.DataFrame,
    members: list[str],
    name: str,
    semantic: PixelCounts,
) -> PixelCounts:
    """Pixels of the detections of a group of classes, merged, against the map of the truth."""
    own = sure[sure["class_name"].isin([name] if name == LUNG else members)]
    masks = {int(str(place)): rows["mask"].tolist() for place, rows in own.groupby("place")}
    found = np.zeros((len(slices), 2))
    for place, (_, row) in enumerate(slices.iterrows()):
        if place not in masks or not semantic.known[place]:
            continue
        shape = (int(row["rows"]), int(row["columns"]))
        merged, truth = union(masks[place], shape), masks_of(row, members, TRUTH)
        assert truth is not None  # known
        found[place] = areas([intersection([merged, truth], shape), merged], shape)
    return PixelCounts(found[:, 0], found[:, 1], semantic.true, semantic.known)


def _surfaces(slices: pd.DataFrame, members: list[str]) -> tuple[NDArray[np.float64], str]:
    """(slices, 2) mean and 95th percentile of the distance of outlines of lesions; and the unit."""
    measured = all(
        name in slices and slices[name].notna().all() for name in ("row_mm", "column_mm")
    )
    found = np.full((len(slices), 2), np.nan)
    for place, (_, row) in enumerate(slices.iterrows()):
        one, other = masks_of(row, members, PREDICTED), masks_of(row, members, TRUTH)
        if one is None or other is None:
            continue
        masks = decode_masks([one, other], (int(row["rows"]), int(row["columns"])))
        spacing = (float(row["row_mm"]), float(row["column_mm"])) if measured else (1.0, 1.0)
        distance = surface_distance(masks[0], masks[1], spacing)
        if distance is not None:
            found[place] = distance
    return found, "mm" if measured else "px"


def _surface_estimates(
    distances: NDArray[np.float64], sampling: Sampling, n: int
) -> dict[str, Estimate]:
    there = np.isfinite(distances[:, 0])
    reason = "in no slice are lesions in both"
    return {
        name: ratio_estimate(
            np.where(there, distances[:, k], 0.0), there.astype(float), sampling, reason
        )
        for k, name in enumerate(("mean", "hd95"))
    }


def _slice_measures(
    slices: pd.DataFrame, by_slice: pd.DataFrame, sampling: Sampling, lesions: list[str]
) -> dict[str, Any]:
    """Shares of slices that are right; see `evaluate.DEFINITIONS`."""
    has, found = by_slice["n_lesions"].to_numpy() > 0, by_slice["n_detected"].to_numpy() > 0
    # A slice whose lesions are all below the smallest size has none to detect, and is not without.
    none = by_slice["true_pixels"].to_numpy() == 0
    looked = has | (_all_known(slices, lesions) & none)
    dice = by_slice["dice"].to_numpy(float)
    agrees = np.where(np.isnan(dice), True, dice >= _AGREES)
    nothing = "in no slice were all lesions looked for"
    return _plain(
        {
            "accuracy": proportion(has == found, looked, sampling, nothing),
            "sensitivity": proportion(found, has, sampling, "no slice has a lesion"),
            "specificity": proportion(~found, looked & ~has, sampling, "every slice has a lesion"),
            "agreement": proportion(agrees, looked, sampling, nothing),
        }
    )


def _all_known(slices: pd.DataFrame, lesions: list[str]) -> NDArray[np.bool_]:
    known = [set(lesions) <= set(str(names).split(",")) for names in slices["annotated"]]
    return np.array(known, dtype=bool)


def _without_lesion(
    slices: pd.DataFrame,
    lesions: list[str],
    counts: dict[str, PixelCounts],
    n_lesions: NDArray[np.integer],
    n_found: NDArray[np.integer],
    sampling: Sampling,
) -> dict[str, Estimate]:
    empty = (n_lesions == 0) & _all_known(slices, lesions) & (counts[LESION].true == 0)
    none = "there is no slice without a lesion"
    lung = counts[LUNG].true if LUNG in counts else np.zeros(len(slices))
    called = np.where(empty, counts[LESION].predicted, 0.0)
    return {
        "false_positives": ratio_estimate(
            np.where(empty, n_found, 0.0), empty.astype(float), sampling, none
        ),
        "slices": proportion(n_found > 0, empty, sampling, none),
        "called_lesion": ratio_estimate(
            called, np.where(empty, lung, 0.0), sampling, "such slices show no lung"
        ),
    }
