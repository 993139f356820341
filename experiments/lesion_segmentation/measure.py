"""What a trained network finds in slices that it has not seen: counts of pixels, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch

from covidlit.datamodules.slices import SliceDataModule
from covidlit.tasks.segmentation_metrics import pixel_groups
from covidlit.tasks.segmentation_rows import SliceRows, rows_of_slice

ANY = "lesion_of_any_class"


def slices_of(
    module: pl.LightningModule, data: SliceDataModule, parts: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts of pixels of each slice of these parts, and their tables.

    Returns:
        One row per slice: part, patient, and for each class (the lung as a field, lesions of any
        class merged) how many pixels are common, predicted and true; and the table of slices,
        detections and objects of `LesionSegmentation.table_of`.
    """
    classes = list(data.classes)
    names = [*classes, ANY]
    rows: list[dict[str, Any]] = []
    tables = SliceRows([], [], [])
    patients = data.table.set_index("slice_id")["patient_id"]
    for part in parts:
        if not len(data.rows_of(part)):
            continue
        for batch in data.dataloader_of(part):
            with torch.inference_mode():
                found = module(batch["image"])
            for index, slice_id in enumerate(batch["slice_id"]):
                target = batch["target"][index]
                own = {**_nothing(target["semantic"].shape), **found[index]}
                tables.add(rows_of_slice(batch, index, own, classes))
                predicted, truth = own["semantic"].numpy(), target["semantic"].numpy()
                row = {"part": part, "patient_id": patients[slice_id], "slice_id": slice_id}
                for name, labels in zip(names, pixel_groups(classes), strict=True):
                    one, other = np.isin(predicted, labels), np.isin(truth, labels)
                    row[f"{name}_common"] = int((one & other).sum())
                    row[f"{name}_predicted"] = int(one.sum())
                    row[f"{name}_true"] = int(other.sum())
                rows.append(row)
    return pd.DataFrame(rows), tables.table()


def _nothing(shape: Any) -> dict[str, torch.Tensor]:
    """The objects of a network that finds pixels alone."""
    return {
        "boxes": torch.zeros((0, 4)),
        "labels": torch.zeros(0, dtype=torch.int64),
        "scores": torch.zeros(0),
        "masks": torch.zeros((0, *shape), dtype=torch.bool),
    }
