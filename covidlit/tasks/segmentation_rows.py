"""What a segmentation found in slices, and what there is, as rows of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from covidlit.scans.run_length import encode_mask, encode_masks

SLICE, DETECTION, OBJECT = "slice", "detection", "object"
BOX = ("x0", "y0", "x1", "y1")

Row = dict[str, Any]


@dataclass
class SliceRows:
    """Rows of the tables `slices`, `detections` and `objects`."""

    slices: list[Row]
    detections: list[Row]
    objects: list[Row]

    def add(self, other: SliceRows) -> None:
        """Put another's rows behind these."""
        self.slices += other.slices
        self.detections += other.detections
        self.objects += other.objects

    def table(self) -> pd.DataFrame:
        """All rows; `kind` says which table each is of."""
        kinds = ((SLICE, self.slices), (DETECTION, self.detections), (OBJECT, self.objects))
        rows = [{"kind": kind, **row} for kind, own in kinds for row in own]
        return pd.DataFrame(rows, columns=None if rows else ["kind", "slice_id"])


def rows_of_slice(
    batch: Mapping[str, Any], index: int, found: Mapping[str, Tensor], classes: Sequence[str]
) -> SliceRows:
    """The rows of one slice of a batch.

    Args:
        batch: see `covidlit.tasks.segmentation.LesionSegmentation`.
        index: of the slice.
        found: of `MaskRCNN.forward`.
        classes: names of the labels from 1.
    """
    target, slice_id = batch["target"][index], str(batch["slice_id"][index])
    semantic, truth = _array(found["semantic"]), _array(target["semantic"])
    known = _array(target["annotated"]) if "annotated" in target else np.ones(len(classes) + 1)
    row: Row = {
        "slice_id": slice_id,
        "rows": semantic.shape[0],
        "columns": semantic.shape[1],
        **_geometry(batch, index),
        "annotated": ",".join(n for k, n in enumerate(classes, start=1) if known[k]),
    }
    for label, name in enumerate(classes, start=1):
        row[f"predicted_{name}"] = encode_mask(semantic == label)
        row[f"truth_{name}"] = encode_mask(truth == label) if known[label] else None
    scores = _array(found["scores"]).astype(float)
    return SliceRows(
        [row],
        [
            own | {"score": float(score)}
            for own, score in zip(_objects(slice_id, found, classes), scores, strict=True)
        ],
        [
            own | {"ignored": bool(prefix)}
            for prefix in (("", "ignored_") if "ignored_labels" in target else ("",))
            for own in _objects(slice_id, target, classes, prefix)
        ],
    )


def _objects(
    slice_id: str, of: Mapping[str, Tensor], classes: Sequence[str], prefix: str = ""
) -> list[Row]:
    masks, labels, boxes = (_array(of[f"{prefix}{name}"]) for name in ("masks", "labels", "boxes"))
    counts, pixels = encode_masks(masks), masks.astype(bool).sum(axis=(1, 2))
    return [
        {
            "slice_id": slice_id,
            "class_name": classes[int(label) - 1],
            **dict(zip(BOX, map(float, box), strict=True)),
            "pixels": int(n),
            "mask": text,
        }
        for label, box, n, text in zip(labels, boxes, pixels, counts, strict=True)
    ]


def _geometry(batch: Mapping[str, Any], index: int) -> Row:
    """Spacing in mm, and the volume of a voxel in mL; NaN where they are not known."""
    spacing, volume = batch.get("spacing"), batch.get("voxel_ml")
    own = [np.nan, np.nan] if spacing is None else [float(each) for each in spacing[index]]
    known = volume is not None and np.isfinite(own).all()
    return {
        "row_mm": own[0],
        "column_mm": own[1],
        "voxel_ml": float(volume[index]) if known and volume is not None else np.nan,
    }


def _array(value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
        return np.asarray(value.numpy())
    return np.asarray(value)
