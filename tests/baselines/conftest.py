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


def _chest(lung_hu: float, seed: int = 0) -> NDArray[np.int16]:
    """An elliptic body of water with two ellipsoids of lung in it, and noise of 10 HU."""
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * s for n, s in zip(SIZE, SPACING, strict=True)),
        indexing="ij",
    )
    hu = np.where((y / 110) ** 2 + (x / 160) ** 2 < 1, 0.0, -1000.0)
    for side in (-1, 1):
        hu[(z / 55) ** 2 + (y / 70) ** 2 + ((x - side * 70) / 50) ** 2 < 1] = lung_hu
    return (hu + np.random.default_rng(seed).normal(0, 10, SIZE)).astype(np.int16)


@pytest.fixture(scope="session")
def chest() -> Callable[..., NDArray[np.int16]]:
    """Draws a chest with lungs of a density, of voxels of 12 mm."""
    return _chest


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
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
            write_nifti(_chest(density, 10 * number + scan), affine, path)
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
