"""Volumes of scans from the pixels of their slices, and how far they are off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.segmentation.intervals import interval_of
from covidlit.evaluation.segmentation.overlap import PixelCounts


def volumes_of_scans(slices: pd.DataFrame, counts: PixelCounts) -> pd.DataFrame:
    """One row per scan: `patient_id`, `predicted_ml`, `true_ml`, and the same in pixels.

    Volumes are those of the slices that were looked at, not of the whole scan where only some of
    its slices are labelled; NaN where the size of a voxel is not known.
    """
    known = counts.known
    size = slices["voxel_ml"] if "voxel_ml" in slices else pd.Series(np.nan, slices.index)
    table = pd.DataFrame(
        {
            "scan_id": slices["scan_id"].astype(str),
            "patient_id": slices["patient_id"].astype(str),
            "predicted": counts.predicted,
            "true": counts.true,
            "predicted_ml": counts.predicted * size.to_numpy(float),
            "true_ml": counts.true * size.to_numpy(float),
        }
    )[known]
    sums = ["predicted", "true", "predicted_ml", "true_ml"]
    grouped = table.groupby(["scan_id", "patient_id"], as_index=False)
    return grouped[sums].sum(min_count=1) if len(table) else table


def volume_errors(scans: pd.DataFrame, **settings: Any) -> dict[str, Estimate]:
    """How far volumes are off, over scans.

    Args:
        scans: of `volumes_of_scans`.
        settings: of the bootstrap.

    Returns:
        `bias_ml` and `absolute_ml`, means of predicted - true and of its size; and `relative`, the
        sum of the sizes of the errors by the sum of the true volumes (of pixels where mL are not
        known).
    """
    known = scans[scans["true_ml"].notna()] if len(scans) else scans
    millilitres = len(known) == len(scans) and len(scans) > 0
    unit = known if millilitres else scans
    name = "_ml" if millilitres else ""
    error = (unit[f"predicted{name}"] - unit[f"true{name}"]).to_numpy(float)
    reason = "the size of a voxel is not known" if len(scans) else "there is no scan"
    sampling = Sampling(unit["patient_id"].to_numpy(str), **settings)
    none = Estimate.undefined(reason)
    ones, true = np.ones(len(unit)), unit[f"true{name}"].to_numpy(float)
    return {
        "bias_ml": _ratio(error, ones, sampling, reason) if millilitres else none,
        "absolute_ml": _ratio(np.abs(error), ones, sampling, reason) if millilitres else none,
        "relative": _ratio(np.abs(error), true, sampling, "there is no true volume"),
    }


def _ratio(
    top: NDArray[np.float64], bottom: NDArray[np.float64], sampling: Sampling, nothing: str
) -> Estimate:
    if bottom.sum() == 0:
        return Estimate.undefined(nothing)

    def statistic(weights: Weights) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (weights @ top) / (weights @ bottom)
        return found

    drawn = sampling.distribution(statistic) if sampling.n_patients > 1 else np.zeros(0)
    return interval_of(float(top.sum() / bottom.sum()), drawn, sampling, len(top))
