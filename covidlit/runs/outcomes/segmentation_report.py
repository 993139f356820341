"""What the report of a segmentation says beyond its tables: the run, and slices to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.evaluation.report_context import ReportContext
from covidlit.evaluation.segmentation.figures import slice_picture
from covidlit.evaluation.segmentation.overlap import LESION, groups_of, masks_of
from covidlit.evaluation.segmentation.tables import PREDICTED, TRUTH
from covidlit.runs.outcomes.classification_report import report_context
from covidlit.runs.outcomes.outcome import Training
from covidlit.scans.run_length import decode_masks
from covidlit.tasks.segmentation_metrics import LUNG

_SHOWN = 3
"""Slices of each kind."""

_NOTE = (
    "Slices of the test part by their Dice of lesions, and those without a lesion of which most "
    "is called one. Right in each: outlines of lesions, true ones green and predicted ones orange; "
    "the lung in blue, predicted dashed. Seen from the feet, the patient's left on the right."
)


def segmentation_context(
    run_dir: Path, config: dict[str, Any], trainings: Sequence[Training]
) -> ReportContext:
    """Configuration, cohort, split, training and versions of a run.

    Args:
        run_dir: the run's folder.
        config: the resolved configuration.
        trainings: one, or those of the folds of a cross-validation.
    """
    tables = [training.data.table for training in trainings]
    named = [""] if len(tables) == 1 else [f"fold {k}, " for k in range(len(tables))]
    summary = pd.concat(
        [_parts(table).assign(part=lambda t, n=name: n + t["part"])
         for name, table in zip(named, tables, strict=True)],
        ignore_index=True,
    )  # fmt: skip
    return report_context(run_dir, config, trainings, summary)


def _parts(table: pd.DataFrame) -> pd.DataFrame:
    """One row per part: slices, scans, patients, slices with a lesion, refused ones."""
    rows = []
    for part in ("train", "validation", "test"):
        own = table[table["part"] == part]
        if own.empty:
            continue
        ok = own[own["status"] == "ok"]
        rows.append(
            {
                "part": part,
                "slices": len(own),
                "scans": own["scan_id"].nunique() if "scan_id" in own else len(own),
                "patients": own["patient_id"].nunique(),
                "with a lesion": int((ok["target"].astype(int) == 1).sum()),
                "refused": len(own) - len(ok),
            }
        )
    return pd.DataFrame(rows)


def example_slices(
    trainings: Sequence[Training], by_slice: pd.DataFrame
) -> tuple[list[tuple[str, bytes]], str]:
    """Pictures of the best, the median and the worst slices of the test part, with captions.

    Args:
        trainings: of the run, whose data have the images.
        by_slice: of `SegmentationEvaluation`.
    """
    wanted = _chosen(by_slice)
    images = _images(trainings, [row for _, row in wanted])
    found = []
    for (what, row), image in zip(wanted, images, strict=True):
        if image is None:
            continue
        dice = "" if np.isnan(row["dice"]) else f", Dice {row['dice']:.3f}"
        caption = f"{what}: {row['slice_id']}{dice}, {counted(row['n_lesions'], 'lesion')}"
        found.append((caption, slice_picture(image, _outlines(row))))
    return found, _NOTE if found else ""


def _chosen(by_slice: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    with_lesion = by_slice[by_slice["n_lesions"] > 0].dropna(subset="dice")
    ordered = with_lesion.sort_values(["dice", "slice_id"], ascending=[False, True])
    each = max(1, min(_SHOWN, len(ordered) // 3))
    middle = max((len(ordered) - each) // 2, 0)
    groups = [
        ("Best", ordered[:each]),
        ("Median", ordered[middle : middle + each]),
        ("Worst", ordered[-each:]),
    ]
    empty = by_slice[(by_slice["n_lesions"] == 0) & (by_slice["predicted_pixels"] > 0)]
    groups.append(
        ("Without a lesion", empty.sort_values("predicted_pixels", ascending=False)[:_SHOWN])
    )
    seen: set[Any] = set()
    found = []
    for what, rows in groups:
        for index, row in rows.iterrows():
            if index not in seen:
                found.append((what, row))
            seen.add(index)
    return found


def _outlines(row: pd.Series) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    shape = (int(row["rows"]), int(row["columns"]))
    groups = groups_of(pd.DataFrame([row]))
    found = []
    for name in (LUNG, LESION):
        if name not in groups:
            continue
        pair = [masks_of(row, groups[name], prefix) for prefix in (TRUTH, PREDICTED)]
        if pair[0] is None or pair[1] is None:
            continue
        truth, predicted = decode_masks([pair[0], pair[1]], shape)
        found.append((name, truth, predicted))
    return found


def _images(
    trainings: Sequence[Training], rows: Sequence[pd.Series]
) -> list[NDArray[np.float32] | None]:
    """The first channel of each slice; None where the data do not give single slices."""
    found: list[NDArray[np.float32] | None] = []
    for row in rows:
        fold = 0 if len(trainings) == 1 else int(row["fold"])
        data: Any = trainings[fold].data
        if not callable(getattr(data, "dataset_of", None)):
            found.append(None)
            continue
        names = data.rows_of("test")["slice_id"].astype(str).tolist()
        image = data.dataset_of("test")[names.index(str(row["slice_id"]))]["image"]
        found.append(image[0].numpy())
    return found
