"""A tiny cohort of image files for the datamodule's tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.splits import from_column
from covidlit.datamodules import VolumeDataModule
from covidlit.scans.images import write_nifti

N_SCANS = 14
PARTS = ["train"] * 9 + ["validation"] * 2 + ["test"] * 3
TARGETS = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1]


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    affine = np.array([[0, 0, 2, 0], [0, 2, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]], float)
    for i in range(N_SCANS):
        hu = np.random.default_rng(i).integers(-1000, 500, (5, 14, 14)).astype(np.int16)
        write_nifti(hu, affine, folder / f"{i}.nii.gz")
    return folder


@pytest.fixture
def table(sources: Path) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": [f"P{i}" for i in range(N_SCANS)],
            "scan_id": [f"S{i}" for i in range(N_SCANS)],
            "path": [str(sources / f"{i}.nii.gz") for i in range(N_SCANS)],
            "class_name": ["covid" if t else "np" for t in TARGETS],
            "centre": ["a" if i % 2 else "b" for i in range(N_SCANS)],
            "target": TARGETS,
            "split": PARTS,
        }
    )


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make(table: pd.DataFrame, tmp_path: Path, cache_dir: Path) -> Callable[..., VolumeDataModule]:
    """Make a datamodule of `table`, or of another one."""

    def build(rows: pd.DataFrame | None = None, **changes: Any) -> VolumeDataModule:
        path = tmp_path / "manifest.csv"
        (table if rows is None else rows).to_csv(path, index=False)
        arguments: dict[str, Any] = {
            "manifest": path,
            "cache_dir": cache_dir,
            "split": partial(from_column, column="split"),
            "geometry": {"spacing": [5, 2, 2], "size": [4, 12, 12]},
            "batch_size": 4,
            "n_jobs": 1,
        }
        return VolumeDataModule(**(arguments | changes))

    return build
