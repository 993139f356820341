"""The table of thresholds 0.1 to 0.9 (Table 3 of the CSAC-Net paper)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.classification import ONE_CLASS, confusion
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.proportions import proportion

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))


def threshold_table(
    target: NDArray[np.bool_],
    score: NDArray[np.floating],
    sampling: Sampling,
    initially_negative: NDArray[np.bool_] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[dict[str, Any]]:
    """Sensitivity, specificity, PPV, NPV and counts at fixed thresholds.

    Args:
        target: shape (n,), true for positive scans.
        score: shape (n,).
        sampling: how the scans were sampled.
        initially_negative: shape (n,), true where the first RT-PCR was negative; adds the
            sensitivity among the positive ones of these.
        thresholds: a scan is called positive if score >= threshold.

    Returns:
        One record per threshold; its estimates are `Estimate.to_dict()`.
    """
    one_class = bool(target.all() or not target.any())
    rows = []
    for threshold in thresholds:
        called = np.asarray(score) >= threshold
        row: dict[str, Any] = {
            "threshold": threshold,
            "sensitivity": proportion(called, target, sampling, "no positive scan").to_dict(),
            "specificity": proportion(~called, ~target, sampling, "no negative scan").to_dict(),
            "ppv": proportion(target, called, sampling, "no scan called positive").to_dict(),
            "npv": proportion(~target, ~called, sampling, "no scan called negative").to_dict(),
            **confusion(target, called, sampling.n_repeats),
        }
        if one_class:  # a predictive value of 0 or 1 would be the prevalence, not the model's
            row["ppv"] = row["npv"] = Estimate.undefined(ONE_CLASS, sampling.n_scans).to_dict()
        if initially_negative is not None:
            row["sensitivity_initially_negative"] = proportion(
                called,
                target & initially_negative,
                sampling,
                "no positive scan with a negative first RT-PCR",
            ).to_dict()
        rows.append(row)
    return rows
