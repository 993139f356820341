"""Detections against the lesions of a slice: what was found, what was called without reason."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HIT = 0.1
"""Intersection over union from which a lesion counts as found. Lesions have no sharp edge, and
readers disagree about theirs: half, as COCO asks for, would count a lesion that is seen as missed
(nnDetection uses 0.1 as well: Baumgartner et al., MICCAI 2021)."""


class Matched(NamedTuple):
    """What came of the detections of a slice.

    Args:
        hit: (detections,) the first on a lesion, by score.
        false: (detections,) on no lesion. A second one on the same lesion is neither: it calls
            nothing that is not there (as in LUNA16, Setio et al. 2017).
        found: (lesions,) the score of the detection that found it; minus infinity: none.
    """

    hit: NDArray[np.bool_]
    false: NDArray[np.bool_]
    found: NDArray[np.float64]


def match(
    overlap: NDArray[np.floating], scores: NDArray[np.floating], least: float = HIT
) -> Matched:
    """Match detections with lesions, the surest first.

    Args:
        overlap: (detections, lesions) intersection over union.
        scores: (detections,).
        least: intersection over union of a hit.
    """
    n_found, n_true = overlap.shape
    hit, found = np.zeros(n_found, dtype=bool), np.full(n_true, -np.inf)
    near = overlap >= least if n_true else np.zeros((n_found, 0), dtype=bool)
    for index in np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable"):
        free = near[index] & np.isneginf(found)
        if free.any():
            best = int(np.where(free, overlap[index], -1.0).argmax())
            found[best], hit[index] = scores[index], True
    false = np.logical_not(np.asarray(near.any(axis=1)))
    return Matched(hit, false, found)


def sensitivity_at(
    found: NDArray[np.floating],
    false_scores: NDArray[np.floating],
    n_slices: int,
    per_slice: float = 1.0,
) -> float:
    """Share of the lesions that are found with at most so many false positives per slice.

    Args:
        found: (lesions,) score of the detection of each; minus infinity: none.
        false_scores: scores of the false positives of all slices.
        n_slices: slices that were looked at.
        per_slice: false positives of a slice, on average.

    Returns:
        NaN without a lesion.
    """
    if len(found) == 0:
        return float("nan")
    allowed = int(np.floor(per_slice * n_slices + 1e-9))
    ordered = np.sort(np.asarray(false_scores, dtype=np.float64))[::-1]
    threshold = ordered[allowed] if len(ordered) > allowed else -np.inf
    return float((np.asarray(found) > threshold).mean())
