"""Tables of a segmentation whose numbers can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from covidlit.scans.run_length import encode_mask
from covidlit.tasks.segmentation_rows import SliceRows

SHAPE = (40, 50)
CLASSES = ("lung", "ground_glass")
RUN = {"run_id": "r", "model": "m", "seed": 0, "fold": None}

Rectangle = tuple[int, int, int, int]
"""First row and column, rows and columns."""


def rectangle(place: Rectangle | None) -> Any:
    """A mask of a rectangle; None: empty."""
    mask = np.zeros(SHAPE, dtype=bool)
    if place is not None:
        y, x, height, width = place
        mask[y : y + height, x : x + width] = True
    return mask


def item(slice_id: str, name: str, place: Rectangle, **further: Any) -> dict[str, Any]:
    """A detection or an object."""
    y, x, height, width = place
    return {
        "slice_id": slice_id, "class_name": name, "x0": float(x), "y0": float(y),
        "x1": float(x + width), "y1": float(y + height), "pixels": height * width,
        "mask": encode_mask(rectangle(place)), **further,
    }  # fmt: skip


def slice_row(
    slice_id: str,
    truth: dict[str, Rectangle | None],
    predicted: dict[str, Rectangle | None],
    annotated: tuple[str, ...] = CLASSES,
    millimetres: float | None = 0.5,
) -> dict[str, Any]:
    """A slice with one rectangle of each class."""
    row: dict[str, Any] = {
        "slice_id": slice_id, "rows": SHAPE[0], "columns": SHAPE[1],
        "row_mm": millimetres or np.nan, "column_mm": millimetres or np.nan,
        "voxel_ml": np.nan if millimetres is None else millimetres**2 * 4 / 1000,
        "annotated": ",".join(annotated),
    }  # fmt: skip
    for name in CLASSES:
        row[f"predicted_{name}"] = encode_mask(rectangle(predicted.get(name)))
        known = name in annotated
        row[f"truth_{name}"] = encode_mask(rectangle(truth.get(name))) if known else None
    return row


def rows_of_data(slices: list[dict[str, Any]], part: str = "test") -> pd.DataFrame:
    """The table of the data: slices `<patient>.<number>`, each patient with one scan."""
    ids = [row["slice_id"] for row in slices]
    return pd.DataFrame(
        {
            "slice_id": ids,
            "patient_id": [name.split(".")[0] for name in ids],
            "scan_id": [name.split(".")[0] for name in ids],
            "slice_index": range(len(ids)),
            "target": 1,
            "part": part,
            "status": "ok",
            "reason": None,
        }
    )


def long_table(
    slices: list[dict[str, Any]], detections: list[dict[str, Any]], objects: list[dict[str, Any]]
) -> pd.DataFrame:
    """As a task gives it."""
    return SliceRows(slices, detections, objects).table()
