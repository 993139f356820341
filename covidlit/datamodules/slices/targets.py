"""Masks of a slice as the targets of a detection network.

Boxes are (x0, y0, x1, y1), half-open in pixels: that of the pixel at column 2, row 0 alone is
(2, 0, 3, 1). torchvision's own `masks_to_boxes` gives it no width.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import torch
from numpy.typing import NDArray

Target = dict[str, torch.Tensor]

_ACROSS_CORNERS = np.ones((3, 3))
_EACH_LUNG = 0.1
"""Least share of a region of both lungs that one of them has."""


class Instances(NamedTuple):
    """Objects of a slice.

    Args:
        masks: uint8 (n, rows, columns), 0 and 1; they may overlap.
        labels: int64 (n,), from 1.
        crowd: bool (n,): regions of many objects that are not told apart; None: none is.
    """

    masks: NDArray[np.uint8]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_] | None = None


def targets_of_classes(
    classes: NDArray[np.integer],
    spacing: tuple[float, float],
    n_classes: int,
    *,
    in_lung: Collection[int] = (2, 3, 4, 5),
    annotated: Collection[int] | None = None,
    min_area_mm2: float = 0.0,
) -> tuple[Target, int]:
    """The targets of a slice whose classes are known pixel by pixel; see `detection_target`.

    Args:
        classes: (rows, columns), 0 background, 1 lung, further ones lesions.
        spacing: mm, (row, column).
        n_classes: without the background.
        in_lung: lesions that lie in a lung, whose field they do not interrupt.
        annotated: labels that were looked for; None: all.
        min_area_mm2: smaller pieces are no object.
    """
    lung = 1 if annotated is None or 1 in annotated else None
    found = connected_instances(classes, in_lung if lung else (), lung)
    return detection_target(
        found, spacing, n_classes, annotated=annotated, min_area_mm2=min_area_mm2
    )


def connected_instances(
    classes: NDArray[np.integer], in_lung: Collection[int] = (2, 3, 4, 5), lung: int | None = 1
) -> Instances:
    """The objects of a slice: connected pieces of one class, across corners too.

    A lung field is the lung with the lesions inside it, and each lung is an object of its own, also
    where both touch.

    Args:
        classes: (rows, columns), 0 background.
        in_lung: lesions that lie in a lung.
        lung: label of the lungs; None: there is none.
    """
    classes = np.asarray(classes)
    masks: list[NDArray[np.bool_]] = []
    labels: list[int] = []
    present = [int(label) for label in np.unique(classes) if label > 0]
    for label in sorted({*present} | ({lung} if lung and {*present} & {*in_lung} else set())):
        if label == lung:
            pieces = lung_fields(np.isin(classes, [label, *in_lung]))
        else:
            pieces = _pieces(classes == label)
        masks += pieces
        labels += [label] * len(pieces)
    stacked = np.stack(masks) if masks else np.zeros((0, *classes.shape), bool)
    return Instances(stacked.astype(np.uint8), np.array(labels, np.int64))


def lung_fields(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The connected pieces of a mask of both lungs; one that holds both is cut between them."""
    if not mask.any():
        return []
    middle = middle_of(mask)
    return [part for piece in _pieces(mask) for part in _cut(piece, middle)]


def each_lung(mask: NDArray[np.bool_], middle: float) -> list[NDArray[np.bool_]]:
    """What an annotation has of each lung: itself where it is of one, whatever its pieces.

    Args:
        mask: (rows, columns) of the annotation.
        middle: column between the lungs; see `middle_of` the mask of all lungs.
    """
    sides: dict[bool, NDArray[np.bool_]] = {}
    for piece in _pieces(mask):
        for part in _cut(piece, middle):
            side = bool(np.nonzero(part)[1].mean() > middle)
            sides[side] = sides.get(side, np.zeros_like(part)) | part
    return [sides[side] for side in sorted(sides)]


def middle_of(lungs: NDArray[np.bool_]) -> float:
    """The column half-way between the outer borders of a mask of all lungs of a slice."""
    columns = np.flatnonzero(lungs.any(axis=0))
    return float(columns[0] + columns[-1]) / 2


def detection_target(
    instances: Instances,
    spacing: tuple[float, float],
    n_classes: int,
    *,
    annotated: Collection[int] | None = None,
    min_area_mm2: float = 0.0,
    lung: int = 1,
) -> tuple[Target, int]:
    """The target of a slice for torchvision's detection networks, and how many pieces it lacks.

    Pieces below a size are no object, nor are crowds, nor masks without a pixel; what they cover
    stays in `semantic`, and those with pixels are `ignored`: to find one is neither right nor
    wrong.

    Args:
        instances: of the slice.
        spacing: mm, (row, column); NaN where unknown, where pixels are taken as of 1 mm.
        n_classes: without the background.
        annotated: labels that were looked for; None: all.
        min_area_mm2: smaller ones are left out.
        lung: label of the lungs, over which lesions lie; 0: there is none.

    Returns:
        `boxes` float32 (n, 4), of positive width and height; `labels` int64 (n,); `masks` uint8
        (n, rows, columns); `semantic` uint8 (rows, columns), lesions over lung, smaller over
        larger ones; `annotated` bool (n_classes + 1,); `ignored_boxes`, `ignored_labels` and
        `ignored_masks`, the same as of objects. And the number of pieces with pixels that were
        left out for their size.

    Raises:
        ValueError: a label outside 1..n_classes, which networks take for background.
    """
    masks, labels, crowd = instances
    if len(labels) and not (labels.min() >= 1 and labels.max() <= n_classes):
        raise ValueError(f"labels must be 1 to {n_classes}, got {sorted(set(labels.tolist()))}")
    areas = masks.sum(axis=(1, 2), dtype=np.int64)
    scale = float(np.prod([mm if np.isfinite(mm) else 1.0 for mm in spacing]))
    single = np.ones(len(labels), bool) if crowd is None else ~crowd
    large = areas * scale >= min_area_mm2 - 1e-9
    there = areas > 0
    kept, ignored = single & large & there, ~(single & large) & there
    looked_for = np.zeros(n_classes + 1, bool)
    looked_for[[0, *(range(1, n_classes + 1) if annotated is None else annotated)]] = True
    target = {
        f"{prefix}{name}": value
        for prefix, chosen in (("", kept), ("ignored_", ignored))
        for name, value in _tensors(masks[chosen], labels[chosen]).items()
    }
    target |= {
        "semantic": torch.from_numpy(_semantic(masks, labels, areas, lung)),
        "annotated": torch.from_numpy(looked_for),
    }
    return target, int((single & ~large & there).sum())


def _tensors(masks: NDArray[np.uint8], labels: NDArray[np.int64]) -> Target:
    return {
        "boxes": torch.from_numpy(boxes_of(masks)),
        "labels": torch.from_numpy(labels.astype(np.int64)),
        "masks": torch.from_numpy(np.ascontiguousarray(masks, dtype=np.uint8)),
    }


def boxes_of(masks: NDArray[np.generic]) -> NDArray[np.float32]:
    """The boxes (n, 4) of masks (n, rows, columns) that each have a pixel; half-open."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for k, mask in enumerate(masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes[k] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _semantic(
    masks: NDArray[np.uint8], labels: NDArray[np.int64], areas: NDArray[np.int64], lung: int
) -> NDArray[np.uint8]:
    found = np.zeros(masks.shape[1:], np.uint8)
    for k in sorted(range(len(labels)), key=lambda k: (labels[k] != lung, -areas[k], labels[k])):
        found[masks[k] > 0] = labels[k]
    return found


def _pieces(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    # Not cc3d, which is right in 3D: its 8-connected pieces hold pixels that are not in the mask.
    numbers, count = scipy.ndimage.label(mask, _ACROSS_CORNERS)
    return [numbers == k for k in range(1, count + 1)]


def _cut(piece: NDArray[np.bool_], middle: float) -> list[NDArray[np.bool_]]:
    """Two lungs of one piece: where its narrowest bridge over the middle breaks first."""
    area = int(piece.sum())
    columns = np.arange(piece.shape[1])
    left = int(piece[:, columns < middle].sum())
    if min(left, area - left) < _EACH_LUNG * area:
        return [piece]
    depth = scipy.ndimage.distance_transform_edt(piece)
    for level in range(1, int(depth.max()) + 1):
        cores = [c for c in _pieces(depth > level) if c.sum() >= _EACH_LUNG / 4 * area]
        sides = {bool(np.nonzero(core)[1].mean() > middle): core for core in cores}
        if len(sides) < 2:
            continue
        markers = np.zeros(piece.shape, np.uint8)
        for core in cores:
            markers[core] = 1 + bool(np.nonzero(core)[1].mean() > middle)
        _, (y, x) = scipy.ndimage.distance_transform_edt(markers == 0, return_indices=True)
        side = np.where(piece, markers[y, x], 0)
        halves = [part for number in (1, 2) for part in _pieces(side == number)]
        return halves if min(int((side == k).sum()) for k in (1, 2)) >= _EACH_LUNG * area else [
            piece
        ]  # fmt: skip
    return [piece]
