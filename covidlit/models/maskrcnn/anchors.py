"""Anchors of the region proposals, fit to the objects that are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.errors import ConfigError

LEVELS = 5
"""Levels of the feature pyramid, with strides of 4 to 64 pixels."""

SIZES = ((4.0, 8.0), (16.0, 24.0), (32.0, 48.0), (64.0, 96.0), (128.0, 224.0))
RATIOS = (0.5, 1.0, 2.0)
"""Anchors without a fit: in pixels, and height by width."""

_SMALLEST = 3.0
_TAIL = 0.02


@dataclass(frozen=True)
class AnchorFit:
    """Anchors, and how well they meet the objects that they were fit to.

    Args:
        sizes: for each level, from the finest, square roots of areas in pixels.
        ratios: height by width.
        n_objects: that they were fit to.
        mean_overlap: of each object with the best anchor about the same centre: intersection over
            union, the mean.
        recall: share of the objects for which that is at least 0.5.
    """

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    n_objects: int
    mean_overlap: float
    recall: float

    def settings(self) -> dict[str, Any]:
        """Arguments of `MaskRCNN`, in plain types."""
        return {
            "anchor_sizes": [list(each) for each in self.sizes],
            "anchor_ratios": list(self.ratios),
        }

    def facts(self) -> dict[str, Any]:
        """What was measured, in plain types."""
        return {
            "anchors fit to objects": self.n_objects,
            "mean overlap of an object with its best anchor": round(self.mean_overlap, 3),
            "objects whose best anchor overlaps by half": round(self.recall, 3),
        }


def fit_anchors(boxes: NDArray[np.floating], sizes_per_level: int = 2) -> AnchorFit:
    """Anchors for boxes: sizes in equal ratios over their range, three forms.

    Args:
        boxes: (n, 4) half-open (x0, y0, x1, y1) in pixels, of the objects of the training part.
        sizes_per_level: anchors of one form at a place.

    Raises:
        ConfigError: there is no box.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    if len(boxes) == 0 or not (np.minimum(width, height) > 0).all():
        raise ConfigError(
            "anchors are fit to boxes with a width and a height, and "
            + ("there is no box." if len(boxes) == 0 else "one has none."),
            where="anchors",
            fix="train on slices with objects, or set anchors=default.",
        )
    size, ratio = np.sqrt(width * height), height / width
    low, high = np.quantile(size, [_TAIL, 1 - _TAIL])
    low = max(float(low), _SMALLEST)
    high = max(float(high), 2 * low)
    steps = np.geomspace(low, high, LEVELS * sizes_per_level).round(1)
    sizes = tuple(
        tuple(float(s) for s in steps[level * sizes_per_level : (level + 1) * sizes_per_level])
        for level in range(LEVELS)
    )
    # Of a lesion that grows to either side alike: a ratio and its inverse.
    form = float(np.clip(np.exp(np.quantile(np.abs(np.log(ratio)), 0.8)), 1.3, 3.0))
    ratios = (round(1 / form, 2), 1.0, round(form, 2))
    best = best_overlap(width, height, sizes, ratios)
    return AnchorFit(sizes, ratios, len(boxes), float(best.mean()), float((best >= 0.5).mean()))


def best_overlap(
    width: NDArray[np.floating],
    height: NDArray[np.floating],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
) -> NDArray[np.float64]:
    """(n,) intersection over union of each box with the best anchor about the same centre."""
    flat = np.array([each for level in sizes for each in level])
    forms = np.sqrt(np.asarray(ratios, dtype=np.float64))
    w = (flat[:, None] / forms).ravel()
    h = (flat[:, None] * forms).ravel()
    common = np.minimum(width[:, None], w) * np.minimum(height[:, None], h)
    union = (width * height)[:, None] + w * h - common
    best: NDArray[np.float64] = (common / union).max(axis=1)
    return best
