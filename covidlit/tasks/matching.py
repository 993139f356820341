"""Detections against the lesions of a slice: what was found, what was called without reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidlit.scans.run_length import overlaps, union

HIT = 0.1
"""Intersection over union from which a lesion counts as found. Lesions have no sharp edge, and
readers disagree about theirs: half, as COCO asks for, would count a lesion that is seen as missed
(nnDetection uses 0.1 as well: Baumgartner et al., MICCAI 2021)."""


MOSTLY = 0.5
"""Share of a detection from which it lies mostly on what is ignored."""


class Matched(NamedTuple):
    """What came of the detections of a slice.

    Args:
        hit: (detections,) the first on a lesion, by score.
        false: (detections,) on no lesion. A second one on the same lesion is neither: it calls
            nothing that is not there (as in LUNA16, Setio et al. 2017). Nor is one on what is
            ignored.
        found: (lesions,) the score of the detection that found it; minus infinity: none.
    """

    hit: NDArray[np.bool_]
    false: NDArray[np.bool_]
    found: NDArray[np.float64]


def match(
    overlap: NDArray[np.floating],
    scores: NDArray[np.floating],
    least: float = HIT,
    ignored: NDArray[np.bool_] | None = None,
) -> Matched:
    """Match detections with lesions, the surest first.

    Args:
        overlap: (detections, lesions) intersection over union.
        scores: (detections,).
        least: intersection over union of a hit.
        ignored: (detections,) those that are not false where they are no hit; see `on_ignored`.
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
    return Matched(hit, false if ignored is None else false & ~ignored, found)


def on_ignored(
    detections: Sequence[str],
    ignored: Sequence[str],
    shape: tuple[int, int],
    least: float = HIT,
) -> NDArray[np.bool_]:
    """(detections,) those on regions that are no object, such as crowds and very small pieces.

    A detection is where it lies mostly on them all, or meets one of them as it would a lesion.

    Args:
        detections, ignored: run lengths of masks.
        shape: of the slice, rows and columns.
        least: intersection over union of a hit.
    """
    if not len(detections) or not len(ignored):
        return np.zeros(len(detections), dtype=bool)
    inside = overlaps(detections, [union(ignored, shape)], shape, [True])[:, 0]
    met = overlaps(detections, ignored, shape).max(axis=1)
    found: NDArray[np.bool_] = (inside >= MOSTLY) | (met >= least)
    return found


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
