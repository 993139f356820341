"""Small labelled scans, written by the tests themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from labelled_chests import AFFINE, chest_with_lesions

from covidlit.cohort.splits import from_column
from covidlit.datamodules.slices import SliceDataModule
from covidlit.datamodules.slices.label_volumes import label_volumes
from covidlit.scans.images import write_nifti

PARTS = ["train", "train", "validation", "test", "test"]
PATIENTS = ["a", "b", "c", "d", "d"]


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest of five scans of four patients, and label volumes of others."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = []
    for seed, (patient, part) in enumerate(zip(PATIENTS, PARTS, strict=True)):
        hu, classes = chest_with_lesions(seed)
        write_nifti(hu, AFFINE, folder / f"S{seed}.nii.gz")
        write_nifti(classes * np.uint8(10), AFFINE, folder / "labels" / f"S{seed}_mask.nii.gz")
        rows.append(
            {
                "patient_id": patient, "scan_id": f"S{seed}", "path": f"S{seed}.nii.gz",
                "class_name": "covid", "centre": "x", "split": part,
                "quality_grade": "good" if seed else None, "label_status": "approved",
                "grader_1": "good", "grader_2": "good" if seed < 3 else "poor",
            }
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def slices(labelled: Path) -> Path:
    """The table of slices of these scans."""
    return label_volumes(
        str(labelled / "manifest.csv"),
        str(labelled / "labels"),
        str(labelled / "slices"),
        name="{scan_id}_mask.nii.gz",
        values={10: "lung", 30: "ground_glass"},
        n_jobs=1,
    )


@pytest.fixture
def make(slices: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SliceDataModule]:
    """Make a datamodule of them."""
    cache = tmp_path_factory.getbasetemp() / "slice_cache"

    def build(**changes: Any) -> SliceDataModule:
        arguments: dict[str, Any] = {
            "slices": slices,
            "cache_dir": cache,
            "split": partial(from_column, column="split"),
            "batch_size": 4,
            "n_jobs": 1,
        }
        return SliceDataModule(**(arguments | changes))

    return build
