"""Dice and IoU of classes of pixels, and of lesions of any class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.segmentation.intervals import ratio_estimate
from covidlit.evaluation.segmentation.tables import PREDICTED, TRUTH, classes_of
from covidlit.scans.run_length import areas, intersection, union
from covidlit.tasks.segmentation_metrics import pixel_groups

LESION = "lesion of any class"
_NOTHING = "there is none in these slices, and none was predicted"


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of a class in each slice; 0 in slices where nobody looked for it.

    Args:
        common, predicted, true: (slices,).
        known: (slices,) bool, where it was looked for.
    """

    common: NDArray[np.float64]
    predicted: NDArray[np.float64]
    true: NDArray[np.float64]
    known: NDArray[np.bool_]


def groups_of(slices: pd.DataFrame) -> dict[str, list[str]]:
    """What is measured: each class, the lung with the lesions in it, and lesions of any class."""
    classes = classes_of(slices)
    named = [[classes[label - 1] for label in labels] for labels in pixel_groups(classes)]
    found = dict(zip(classes, named[:-1], strict=True))
    return {LESION: named[-1], **found}


def masks_of(row: pd.Series, names: Sequence[str], prefix: str) -> str | None:
    """The run lengths of the pixels of any of these classes; None where nobody looked for one."""
    known = [row[f"{prefix}{n}"] for n in names if _is_known(row, n)]
    if not known:
        return None
    return known[0] if len(known) == 1 else union(known, (int(row["rows"]), int(row["columns"])))


def _is_known(row: pd.Series, name: str) -> bool:
    return name in str(row["annotated"]).split(",")


def count_pixels(slices: pd.DataFrame, name: str, members: Sequence[str]) -> PixelCounts:
    """Pixels of a group of classes in each slice.

    Args:
        slices: those of the table that were looked at.
        name: of the group; where it is a class, it must have been looked for.
        members: its classes.
    """
    counts = np.zeros((len(slices), 3))
    known = np.zeros(len(slices), dtype=bool)
    for place, (_, row) in enumerate(slices.iterrows()):
        if name != LESION and not _is_known(row, name):
            continue
        found, truth = masks_of(row, members, PREDICTED), masks_of(row, members, TRUTH)
        if found is None or truth is None:
            continue
        shape = (int(row["rows"]), int(row["columns"]))
        both = intersection([found, truth], shape)
        counts[place] = areas([both, found, truth], shape)
        known[place] = True
    common, predicted, true = counts.T
    return PixelCounts(common, predicted, true, known)


def dice_estimate(counts: PixelCounts, sampling: Sampling) -> Estimate:
    """Dice of all slices' pixels together: 2 common / (predicted + true)."""
    n = int(counts.known.sum())
    bottom = counts.predicted + counts.true
    return ratio_estimate(2 * counts.common, bottom, sampling, _NOTHING, n)


def iou_estimate(counts: PixelCounts, sampling: Sampling) -> Estimate:
    """Intersection over union of all slices' pixels together."""
    n = int(counts.known.sum())
    bottom = counts.predicted + counts.true - counts.common
    return ratio_estimate(counts.common, bottom, sampling, _NOTHING, n)


def dice_by_slice(counts: PixelCounts) -> NDArray[np.float64]:
    """(slices,) Dice of each; NaN where there is nothing and nothing was predicted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = 2 * counts.common / (counts.predicted + counts.true)
    return found
