"""Small series in any orientation with an asymmetric phantom, and what is written from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom

from covidlit.dicom import Checks, Series
from covidlit.dicom.out import WrittenObjects, write_objects
from covidlit.scans.lesion_labels import LESION_CLASSES
from covidlit.scans.scan import Scan

CHECKS = Checks(override=frozenset({"no_lungs", "not_axial", "gantry_tilt", "not_chest"}))
ROWS, COLUMNS, SLICES = 40, 48, 14
SPACING = (0.8, 0.7)
STEP = 2.5

C, S = np.cos(0.2), np.sin(0.2)
OBLIQUE_ROW = np.array([C, S, 0.0])
OBLIQUE_COLUMN = np.array([-S * np.cos(0.1), C * np.cos(0.1), np.sin(0.1)])
TILT = np.radians(15.0)


@dataclass(frozen=True)
class Layout:
    """Directions of a series in LPS: along a row, down a column, from slice to slice."""

    row: Any
    column: Any
    step: Any = None
    columns: int = COLUMNS
    slices: int = SLICES

    def position(self, k: int) -> np.ndarray:
        step = np.cross(self.row, self.column) if self.step is None else np.asarray(self.step)
        return np.array([-20.0, -30.0, 100.0]) + step * STEP * k

    def centres(self, k: int) -> np.ndarray:
        """(rows, columns, 3): LPS mm of every pixel centre of slice k, by DICOM's own equation."""
        r, c = np.mgrid[:ROWS, : self.columns]
        across = np.multiply.outer(c * SPACING[1], np.asarray(self.row, float))
        down = np.multiply.outer(r * SPACING[0], np.asarray(self.column, float))
        return self.position(k) + across + down


LAYOUTS = {
    "axial": Layout((1, 0, 0), (0, 1, 0)),
    "head_last": Layout((-1, 0, 0), (0, 1, 0)),
    "prone": Layout((-1, 0, 0), (0, -1, 0)),
    "oblique": Layout(OBLIQUE_ROW, OBLIQUE_COLUMN),
    "oblique_head_last": Layout(OBLIQUE_ROW, -OBLIQUE_COLUMN),
    "sagittal": Layout((0, 1, 0), (0, 0, -1)),
    "coronal": Layout((1, 0, 0), (0, 0, -1)),
}
TILTED = Layout((1, 0, 0), (0, np.cos(TILT), np.sin(TILT)), step=(0, 0, 1))


@dataclass
class Balls:
    """The phantom: a box of lung and balls of lesions, a function of LPS mm."""

    layout: Layout
    balls: list[tuple[np.ndarray, float, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, layout: Layout) -> Balls:
        last = layout.slices - 1
        at = layout.centres
        return cls(
            layout,
            [
                (at(0)[9, 12], 3.0, 2, 7),  # on the first slice
                (at(last)[25, 30], 2.0, 3, 3),  # on the last one
                (at(5)[30, 17], 0.3, 5, 300),  # one voxel
                (at(7)[14, 33], 4.0, 3, 12),
            ],
        )

    def labels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes and instances at points (..., 3)."""
        low, high = self.layout.centres(2)[4, 5], self.layout.centres(11)[33, 41]
        inside = (
            (points > np.minimum(low, high) - 0.2) & (points < np.maximum(low, high) + 0.2)
        ).all(-1)
        classes = inside.astype(np.uint8)
        instances = np.zeros(classes.shape, np.int32)
        for centre, radius, value, number in self.balls:
            ball = ((points - centre) ** 2).sum(-1) <= radius**2
            classes[ball], instances[ball] = value, number
        return classes, instances


@dataclass
class Made:
    """A series on disk, its scan, and labels in the scan's order."""

    folder: Path
    series: Series
    scan: Scan
    classes: np.ndarray
    instances: np.ndarray
    lesions: pd.DataFrame
    factors: dict[str, Any]

    def write(self, **changes: Any) -> WrittenObjects:
        given = {
            "classes": self.classes,
            "instances": self.instances,
            "factors": self.factors,
            "lesions": self.lesions,
            "out_dir": self.folder.parent / "objects",
            "checks": CHECKS,
            **changes,
        }
        return write_objects(self.series, self.scan, **given)

    def sources(self) -> dict[str, pydicom.Dataset]:
        """SOPInstanceUID -> file."""
        read = [pydicom.dcmread(path) for path in self.folder.iterdir()]
        return {str(ds.SOPInstanceUID): ds for ds in read}


def points_of(ds: pydicom.Dataset) -> np.ndarray:
    """LPS mm of the pixel centres of a CT file (PS3.3, C.7.6.2.1.1)."""
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    down, across = (float(value) for value in ds.PixelSpacing)
    r, c = np.mgrid[: ds.Rows, : ds.Columns]
    return (
        np.array(ds.ImagePositionPatient, float)
        + np.multiply.outer(c * across, row)
        + np.multiply.outer(r * down, column)
    )


def lesion_rows(classes: np.ndarray, instances: np.ndarray, voxel_ml: float) -> pd.DataFrame:
    """Rows of contract 8 for the lesions of a volume; some factors are not defined."""
    rows = []
    for number in np.unique(instances[instances > 0]):
        mask = instances == number
        rows.append(
            {
                "patient_id": "P1",
                "scan_id": "S1",
                "lesion_id": int(number),
                "class_name": LESION_CLASSES[int(classes[mask][0])],
                "volume_ml": float(mask.sum() * voxel_ml),
                "max_diameter_3d_mm": 2.0 + number / 7,
                "mean_density_hu": np.float32(-500.5),
                "form": None if mask.sum() == 1 else 0.75,
            }
        )
    columns = ["patient_id", "scan_id", "lesion_id", "class_name", "volume_ml"]
    return pd.DataFrame(rows, columns=None if rows else columns)
