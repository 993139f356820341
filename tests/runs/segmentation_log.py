"""What a run logged of its validation, against the tables that it left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.evaluation.segmentation import evaluate_segmentation, read_segmentation_tables
from covidlit.evaluation.segmentation.overlap import LESION
from covidlit.scans.run_length import decode_masks


def check_logged(run_dir: Path) -> None:
    """The metrics of the epoch whose network was kept are those of its tables of validation."""
    logged = pd.read_csv(run_dir / "logs" / "metrics.csv").dropna(subset="val_dice")
    best = logged.loc[logged["val_dice"].idxmax()]
    tables = read_segmentation_tables(run_dir)
    part = evaluate_segmentation(tables, n_bootstrap=100).metrics["parts"]["validation"]
    lesion, slices = part["overlap"][LESION], tables["slices"]
    own = slices[slices["part"] == "validation"]
    truth, found = (
        sum(_pixels(text, row) for _, row in own.iterrows() for text in [row[f"{what}_lesion"]])
        for what in ("truth", "predicted")
    )
    expected = {
        "val_dice": lesion["dice"],
        "val_iou": lesion["iou"],
        "val_dice_lung": part["overlap"]["lung"]["dice"],
        "val_iou_lung": part["overlap"]["lung"]["iou"],
        "val_map_box": part["map"]["box"],
        "val_map_mask": part["map"]["mask"],
        "val_sensitivity": part["froc"]["1"],
        "val_slice_accuracy": part["slices"]["accuracy"],
        "val_false_positives": part["without_lesion"]["false_positives"],
        "val_surface": part["surface"]["mean"],
        "val_volume_error": {"value": (found - truth) / truth},
    }
    for name, value in expected.items():
        wanted = np.nan if value["value"] is None else value["value"]
        assert best[name] == pytest.approx(wanted, abs=1e-4, nan_ok=True), name


def _pixels(text: str, row: pd.Series) -> int:
    return int(decode_masks([text], (int(row["rows"]), int(row["columns"])))[0].sum())
