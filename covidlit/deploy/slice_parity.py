"""Whether an exported network finds in slices what PyTorch finds in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from covidlit.models.maskrcnn.network import MaskRCNN
from covidlit.models.maskrcnn.stages import Dense, Stages

SAME_OBJECT = 0.9
"""Overlap of boxes (intersection over union) from which two objects of a class are the same."""

LIMITS = {
    "dense_difference": 1.0, "pixels_of_another_class": 1.0, "lung_dice_lost": 10.0,
    "lesion_dice_lost": 10.0, "score_difference": 1.0, "box_difference_pixels": 100.0,
    "objects_without_match": 100.0,
}  # fmt: skip
"""What each measure may be, in tolerances. Objects can go where two of them score alike to the last
digit, and their boxes are in pixels."""

MEANING = {
    "dense_difference": "Levels, objectness and deltas, of their largest value",
    "pixels_of_another_class": "Share of the pixels whose class differs",
    "lung_dice_lost": "Dice of the lungs less than 1 by",
    "lesion_dice_lost": "Dice of lesions of any class less than 1 by",
    "score_difference": "Score of an object",
    "box_difference_pixels": "Edge of an object's box, in pixels",
    "objects_without_match": "Share of objects that the other does not find",
}
"""The measures in words, for people."""


@dataclass(frozen=True)
class SliceParity:
    """The largest differences over slices; infinite where a value is not finite.

    Args:
        dense_difference: of the levels, objectness and deltas, as a share of the largest absolute
            value of each.
        pixels_of_another_class: share of all pixels.
        lung_dice_lost, lesion_dice_lost: 1 - Dice of the maps of classes of both, of the lung and
            of lesions of any class, over all slices; 0 where neither finds any.
        score_difference: of an object and the same one of the other (`SAME_OBJECT`).
        box_difference_pixels: of theirs.
        objects_without_match: share of the objects of both that the other does not find.
    """

    dense_difference: float
    pixels_of_another_class: float
    lung_dice_lost: float
    lesion_dice_lost: float
    score_difference: float
    box_difference_pixels: float
    objects_without_match: float

    def above(self, tolerance: float) -> dict[str, float]:
        """The measures that are above their limits, by name."""
        values = asdict(self)
        return {
            name: values[name]
            for name, limit in LIMITS.items()
            if not values[name] <= limit * tolerance
        }


def compare(
    net: MaskRCNN, other: Stages, images: Iterable[Tensor], lung: int
) -> tuple[SliceParity, dict[str, int]]:
    """What a network and another that computes it find in slices.

    Args:
        net: in evaluation mode, on the CPU.
        other: the exported one.
        images: (channels, rows, columns) float32 in [0, 1] each.
        lung: the label that is no lesion; 0: there is none.

    Returns:
        The differences, and what the slices showed: `slices`, `objects` and `classes` of pixels.
    """
    dense, scores, boxes = [0.0], [0.0], [0.0]
    counts = np.zeros((net.n_classes, net.n_classes), np.int64)  # of pixels, by both classes
    objects = unmatched = slices = 0
    for pair in _in_pairs(images):
        tensors = net.batch(pair).tensors
        dense.append(_dense_difference(net.dense(tensors), other.dense(tensors)))
        for one, two in zip(net(pair), net(pair, stages=other), strict=True):
            both = one["semantic"].long() * net.n_classes + two["semantic"].long()
            pixels = np.bincount(both.numpy().ravel(), minlength=counts.size)
            counts += pixels.reshape(counts.shape)
            own, off, without = _objects(one, two)
            scores.append(own)
            boxes.append(off)
            unmatched += without
            objects += len(one["scores"]) + len(two["scores"])
        slices += len(pair)
    is_lesion = np.array([label not in (0, lung) for label in range(net.n_classes)])
    is_lung = np.arange(net.n_classes) == lung if lung else np.zeros(net.n_classes, bool)
    found = SliceParity(
        dense_difference=max(dense),
        pixels_of_another_class=float(1 - np.trace(counts) / max(counts.sum(), 1)),
        lung_dice_lost=_dice_lost(counts, is_lung),
        lesion_dice_lost=_dice_lost(counts, is_lesion),
        score_difference=max(scores),
        box_difference_pixels=max(boxes),
        objects_without_match=unmatched / max(objects, 1),
    )
    shown = {"slices": slices, "objects": objects, "classes": int((counts.sum(axis=1) > 0).sum())}
    return found, shown


def _in_pairs(images: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Two at a time where their sizes allow it: a graph that took a batch for one would show it."""
    waiting: list[Tensor] = []
    for image in images:
        if waiting and waiting[0].shape != image.shape:
            yield waiting
            waiting = []
        waiting.append(image)
        if len(waiting) == 2:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _dense_difference(one: Dense, two: Dense) -> float:
    pairs = [
        *((one.levels[name], level) for name, level in two.levels.items()),
        *zip(one.objectness, two.objectness, strict=True),
        *zip(one.deltas, two.deltas, strict=True),
    ]
    if any(a.shape != b.shape for a, b in pairs):
        return float("inf")
    return max(_relative(a, b) for a, b in pairs)


def _relative(one: Tensor, two: Tensor) -> float:
    if not bool(one.isfinite().all() and two.isfinite().all()):
        return float("inf")
    return float((one - two).abs().max() / one.abs().max().clamp(min=1e-6))


def _objects(one: dict[str, Tensor], two: dict[str, Tensor]) -> tuple[float, float, int]:
    """Largest difference of score and box of objects that both find; how many only one finds."""
    if not (len(one["scores"]) and len(two["scores"])):
        return 0.0, 0.0, len(one["scores"]) + len(two["scores"])
    overlap = box_iou(one["boxes"], two["boxes"])
    overlap[one["labels"][:, None] != two["labels"][None]] = 0
    best, index = overlap.max(dim=1)
    mutual = overlap.argmax(dim=0)[index] == torch.arange(len(best))
    same = (best >= SAME_OBJECT) & mutual
    without = len(best) + overlap.shape[1] - 2 * int(same.sum())
    if not bool(same.any()):
        return 0.0, 0.0, without
    other = index[same]
    score = (one["scores"][same] - two["scores"][other]).abs().max()
    box = (one["boxes"][same] - two["boxes"][other]).abs().max()
    return float(score), float(box), without


def _dice_lost(counts: NDArray[np.int64], chosen: NDArray[np.bool_]) -> float:
    common = counts[np.ix_(chosen, chosen)].sum()
    both = counts[chosen].sum() + counts[:, chosen].sum()
    return float(1 - 2 * common / both) if both else 0.0


def in_words(values: Mapping[str, float]) -> str:
    """Measures and their values, for a message."""
    return "; ".join(f"{MEANING[name].lower()} {value:.2e}" for name, value in values.items())
