"""Mean average precision of boxes and masks, as COCO defines it, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.segmentation.intervals import interval_of
from covidlit.evaluation.segmentation.tables import is_ignored
from covidlit.scans.run_length import decode_masks, overlaps
from covidlit.tasks.segmentation_metrics import IOU_THRESHOLDS, RECALLS, coco_metric
from covidlit.tasks.segmentation_rows import BOX

MOST_REPLICATES = 500
_PER_SLICE = 100
_NOTHING = "there is no object in these slices"


@dataclass(frozen=True)
class ClassMatches:
    """Detections of one class, by score from the highest, against its objects.

    Args:
        slice: (detections,) place of its slice.
        right: (thresholds, detections) whether it is an object that none before has taken.
        ignored: (thresholds, detections) whether it is none and lies on a region that is ignored.
        objects: (slices,) number of objects.
    """

    slice: NDArray[np.intp]
    right: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    objects: NDArray[np.float64]


def precision_estimates(
    slices: pd.DataFrame, detections: pd.DataFrame, objects: pd.DataFrame, sampling: Sampling
) -> dict[str, Estimate]:
    """`box`, `mask`, and the same at an intersection over union of 0.5 (`box_50`, `mask_50`).

    Args:
        slices: those that were looked at.
        detections, objects: with `place`, the row of their slice; of classes that were looked for.
            Objects that are `ignored` count as COCO's crowds.
        sampling: of the slices.
    """
    names = ("box", "mask", "box_50", "mask_50")
    n = int((~is_ignored(objects)).sum())
    if n == 0:
        return {name: Estimate.undefined(_NOTHING) for name in names}
    values = coco_precision(slices, detections, objects)
    fewer = replace(sampling, n_bootstrap=min(sampling.n_bootstrap, MOST_REPLICATES))
    found = {}
    for kind in ("box", "mask"):
        own = match_classes(slices, detections, objects, kind)

        def statistic(weights: NDArray[np.float64], own: Any = own) -> NDArray[np.float64]:
            return np.array([mean_precision(own, each) for each in weights])

        drawn = fewer.distribution(statistic) if fewer.n_patients > 1 else np.zeros((0, 2))
        for k, name in enumerate((kind, f"{kind}_50")):
            found[name] = interval_of(values[name], drawn[:, k], fewer, n)
    return {name: found[name] for name in names}


def coco_precision(
    slices: pd.DataFrame, detections: pd.DataFrame, objects: pd.DataFrame
) -> dict[str, float]:
    """The values of COCO's program, by way of torchmetrics; there must be an object."""
    metric = coco_metric()
    names = sorted(set(objects.loc[~is_ignored(objects), "class_name"]))
    label = {name: k for k, name in enumerate(names, start=1)}
    detections = detections[detections["class_name"].isin(label)]
    objects = objects[objects["class_name"].isin(label)]
    found_of = dict(iter(detections.groupby("place")))
    true_of = dict(iter(objects.groupby("place")))
    for place, (rows, columns) in enumerate(zip(slices["rows"], slices["columns"], strict=True)):
        shape = (int(rows), int(columns))
        found = _tensors(found_of.get(place, detections[:0]), shape, label)
        true = _tensors(true_of.get(place, objects[:0]), shape, label)
        metric.update([found], [true])
    measured = metric.compute()
    return {
        "box": float(measured["bbox_map"]),
        "mask": float(measured["segm_map"]),
        "box_50": float(measured["bbox_map_50"]),
        "mask_50": float(measured["segm_map_50"]),
    }


def _tensors(rows: pd.DataFrame, shape: tuple[int, int], label: dict[str, int]) -> dict[str, Any]:
    found = {
        "boxes": torch.tensor(rows[list(BOX)].to_numpy(np.float32)).reshape(-1, 4),
        "labels": torch.tensor([label[name] for name in rows["class_name"]], dtype=torch.int64),
        "masks": torch.tensor(decode_masks(rows["mask"].tolist(), shape)),
    }
    if "ignored" in rows:
        found["iscrowd"] = torch.tensor(is_ignored(rows).astype(np.int64))
    if "score" in rows:
        found["scores"] = torch.tensor(rows["score"].to_numpy(np.float32))
    return found


def match_classes(
    slices: pd.DataFrame, detections: pd.DataFrame, objects: pd.DataFrame, kind: str
) -> list[ClassMatches]:
    """Each class's detections against its objects: the surest takes the nearest that is free.

    Args:
        slices, detections, objects: see `precision_estimates`.
        kind: "box" or "mask".
    """
    return [
        _match_class(
            slices, detections[detections["class_name"] == name],
            objects[objects["class_name"] == name], kind,
        )
        for name in sorted(set(objects["class_name"]))
    ]  # fmt: skip


def _match_class(
    slices: pd.DataFrame, detections: pd.DataFrame, objects: pd.DataFrame, kind: str
) -> ClassMatches:
    single = objects.loc[~is_ignored(objects), "place"]
    counts = np.bincount(single, minlength=len(slices)).astype(np.float64)
    true_of = dict(iter(objects.groupby("place")))
    shapes = slices[["rows", "columns"]].to_numpy(int)
    places, scores, taken = [np.zeros(0, np.intp)], [np.zeros(0)], [np.zeros((2, 10, 0), bool)]
    for key, own in detections.groupby("place"):
        place = int(str(key))
        own = own.sort_values("score", ascending=False, kind="stable")[:_PER_SLICE]
        true = true_of.get(place, objects[:0])
        crowd = is_ignored(true)
        overlap = (
            overlaps(own["mask"].tolist(), true["mask"].tolist(), tuple(shapes[place]), crowd)
            if kind == "mask"
            else box_overlap(own[list(BOX)].to_numpy(float), true[list(BOX)].to_numpy(float), crowd)
        )
        places.append(np.full(len(own), place))
        scores.append(own["score"].to_numpy(float))
        taken.append(np.stack([_taken(overlap, crowd, t) for t in IOU_THRESHOLDS], axis=1))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    right, ignored = np.concatenate(taken, axis=2)[:, :, order]
    return ClassMatches(np.concatenate(places)[order], right, ignored, counts)


def _taken(
    overlap: NDArray[np.float64], crowd: NDArray[np.bool_], least: float
) -> NDArray[np.bool_]:
    """(2, detections) whether each takes an object, the surest first; or none, but a crowd.

    A crowd may be taken by any number of detections.
    """
    free = ~crowd
    taken = np.zeros((2, len(overlap)), dtype=bool)
    for index, own in enumerate(overlap):
        near = own >= min(least, 1 - 1e-10)
        allowed = free & near
        if allowed.any():
            best = int(np.where(allowed, own, -1).argmax())
            free[best], taken[0, index] = False, True
        else:
            taken[1, index] = bool((near & crowd).any())
    return taken


def box_overlap(
    one: NDArray[np.floating],
    other: NDArray[np.floating],
    crowd: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """(one, other) intersection over union of boxes (x0, y0, x1, y1).

    With those that are a crowd it is the intersection over the area of the one; see
    `covidlit.scans.run_length.overlaps`.
    """
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    sizes = [np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (one, other)]
    either = sizes[0][:, None] + sizes[1][None] - common
    if crowd is not None:
        either = np.where(crowd, sizes[0][:, None], either)
    found: NDArray[np.float64] = common / either
    return found


def mean_precision(
    classes: Sequence[ClassMatches], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Mean average precision over all thresholds, and at 0.5, of slices counted by weight.

    Classes of which these slices have no object are left out; NaN where that is all of them.
    """
    found = []
    for own in classes:
        n_objects = float(weights @ own.objects)
        if n_objects == 0:
            continue
        counted = weights[own.slice]
        true = np.cumsum(own.right * counted, axis=1)
        false = np.cumsum(~(own.right | own.ignored) * counted, axis=1)
        recall = true / n_objects
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.nan_to_num(true / (true + false))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        at = np.zeros((len(IOU_THRESHOLDS), len(RECALLS)))
        for k in range(len(IOU_THRESHOLDS)):
            place = np.searchsorted(recall[k], RECALLS, "left")
            there = place < recall.shape[1]
            at[k, there] = precision[k, place[there]]
        found.append(at.mean(axis=1))
    if not found:
        return float("nan"), float("nan")
    by_threshold = np.mean(found, axis=0)
    return float(by_threshold.mean()), float(by_threshold[0])
