"""A small cohort of chests, with and without dense lungs, for the baselines' tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from covidlit.cohort.splits import from_column
from covidlit.datamodules import VolumeDataModule
from covidlit.scans.images import write_nifti

SPACING = (12.0, 12.0, 12.0)
SIZE = (10, 24, 32)
N_PATIENTS = 36


@pytest.fixture(scope="session")
def cohort(
    tmp_path_factory: pytest.TempPathFactory, chest: Callable[..., NDArray[np.int16]]
) -> pd.DataFrame:
    """Three classes of patients, told apart by the density of their lungs; some have two scans."""
    folder = tmp_path_factory.mktemp("chests")
    affine = np.diag([12.0, 12.0, 12.0, 1.0])[[2, 1, 0, 3]]
    rows = []
    for number in range(N_PATIENTS):
        name = ("np", "cap", "covid")[number % 3]
        density = {"np": -850, "cap": -820, "covid": -700}[name] + number
        part = ("train", "train", "train", "validation", "test")[number // 3 % 5]
        for scan in range(2 if number % 4 == 0 else 1):
            path = folder / f"{number}-{scan}.nii.gz"
            write_nifti(chest(density, 10 * number + scan), affine, path)
            rows.append(
                {
                    "patient_id": f"P{number}",
                    "scan_id": f"S{number}-{scan}",
                    "path": str(path),
                    "class_name": name,
                    "centre": "ab"[number % 2],
                    "target": int(name == "covid"),
                    "split": part,
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture
def make(
    cohort: pd.DataFrame, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., VolumeDataModule]:
    """Make a datamodule of the cohort, or of another one."""

    def build(rows: pd.DataFrame | None = None, **changes: Any) -> VolumeDataModule:
        path = tmp_path / "manifest.csv"
        (cohort if rows is None else rows).to_csv(path, index=False)
        arguments: dict[str, Any] = {
            "manifest": path,
            "cache_dir": tmp_path_factory.getbasetemp() / "chest_cache",
            "split": partial(from_column, column="split"),
            "geometry": {"spacing": SPACING, "size": SIZE},
            "n_jobs": 1,
        }
        return VolumeDataModule(**(arguments | changes))

    return build
