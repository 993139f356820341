"""Small series in any orientation with an asymmetric phantom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from series_in_layouts import CHECKS, LAYOUTS, ROWS, SPACING, Balls, Layout, Made, lesion_rows

from covidlit.dicom import find_series, read_series


@pytest.fixture
def make(write_ct: Callable[..., Path]) -> Callable[..., Made]:
    """Write and read a series in a layout; `edit(ds, k)` changes its slices further."""

    def made(
        layout: Layout = LAYOUTS["axial"],
        edit: Callable[[pydicom.Dataset, int], object] | None = None,
        phantom: bool = True,
        **options: Any,
    ) -> Made:
        def place(ds: pydicom.Dataset, k: int) -> object:
            pixels = np.add.outer(np.arange(ROWS), 3 * np.arange(layout.columns)) + 100 * k
            ds.Rows, ds.Columns = pixels.shape
            ds.PixelData = pixels.astype(np.int16).tobytes()
            ds.ImagePositionPatient = [float(f"{v:.6f}") for v in layout.position(k)]
            cosines = (*layout.row, *layout.column)
            ds.ImageOrientationPatient = [float(f"{v:.8f}") for v in cosines]
            ds.PixelSpacing = list(SPACING)
            ds.StudyDate, ds.StudyTime, ds.StudyID = "20200301", "101500", "1"
            ds.AccessionNumber, ds.ReferringPhysicianName = "A1", ""
            return edit(ds, k) if edit else None

        folder = write_ct(layout.slices, place)
        (series,) = find_series(folder).series
        scan = read_series(series, options.pop("checks", CHECKS))
        index = np.stack(np.meshgrid(*map(np.arange, scan.hu.shape), indexing="ij"), axis=-1)
        points = index @ scan.affine[:3, :3].T + scan.affine[:3, 3]
        classes, instances = Balls.of(layout).labels(points)
        if not phantom:
            classes, instances = np.minimum(classes, 1), np.zeros_like(instances)
        voxel_ml = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
        lesions = lesion_rows(classes, instances, voxel_ml)
        factors = {
            "patient_id": "P1",
            "scan_id": "S1",
            "n_lesions": np.int64(len(lesions)),
            "total_volume_ml": float(lesions["volume_ml"].sum()),
            "mean_volume_ml": float(lesions["volume_ml"].mean()) if len(lesions) else None,
            "proportion_percent": 3.25,
            "mean_density_hu": None,
            "edge_clarity_hu_per_mm": np.nan,
        }
        return Made(folder, series, scan, classes, instances, lesions, factors)

    return made
