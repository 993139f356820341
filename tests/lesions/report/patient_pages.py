"""A patient with two lesions, and the page that is written of them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.lesions.report import write_patient_report
from covidlit.scans.lesion_labels import LESION_CLASSES
from covidlit.scans.scan import Scan

SHAPE, SPACING = (20, 60, 72), (5.0, 2.0, 2.0)
GROUND_GLASS = (240, 228, 66)


def affine_of_scan() -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, SPACING[2]], [0, SPACING[1], 0], [SPACING[0], 0, 0]])
    affine[:3, 3] = (-70.0, -55.0, -1250.0)
    return affine


def labels() -> tuple[np.ndarray, np.ndarray]:
    """Two lungs; a large and a small lesion in the patient's right lung, which has low x."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    classes = np.zeros(SHAPE, np.uint8)
    for centre in (18, 54):
        classes[((z - 10) / 9) ** 2 + ((y - 30) / 22) ** 2 + ((x - centre) / 13) ** 2 < 1] = 1
    instances = np.zeros(SHAPE, np.int32)
    big = ((z - 12) / 2.0) ** 2 + ((y - 20) / 5.0) ** 2 + ((x - 18) / 5.0) ** 2 < 1
    for mask, value, number in ((big, 3, 4), ((z == 6) & (y == 30) & (x == 16), 2, 9)):
        classes[mask], instances[mask] = value, number
    return classes, instances


def factors(**changes: Any) -> dict[str, Any]:
    return {
        "patient_id": "P-17",
        "scan_id": "scan-b",
        "acquisition_date": "2020-03-09",
        "n_lesions": 2,
        "total_volume_ml": 4.5,
        "mean_volume_ml": 2.25,
        "proportion_percent": 1.75,
        "max_diameter_3d_mm": 31.5,
        "max_diameter_2d_mm": 20.5,
        "mean_density_hu": -512.4,
        "edge_clarity_hu_per_mm": 41.0,
        "pleural_distance_mm": 8.5,
        "form": 0.81,
        "volume_change_ml": None,
        **changes,
    }


def lesions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lesion_id": [9, 4],
            "class_name": [LESION_CLASSES[2], LESION_CLASSES[3]],
            "volume_ml": [0.02, 4.48],
            "form": [np.nan, 0.81],
            "tracking_uid": ["2.25.1", "2.25.2"],
        }
    )


def scan(**changes: Any) -> Scan:
    classes, _ = labels()
    hu = np.where(classes == 1, -850, np.where(classes > 1, -300, 40)).astype(np.int16)
    return Scan(hu, affine_of_scan(), "1.2.3", **changes)


class Page(HTMLParser):
    """Texts of the page outside scripts, attributes that could fetch, and tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        if tag == "script":
            self.scripts.append("")
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style" and data.strip():
            self.text.append(data.strip())


def write(path: Path, **changes: Any) -> str:
    classes, instances = labels()
    given: dict[str, Any] = {
        "scan": scan(),
        "classes": classes,
        "instances": instances,
        "factors": factors(),
        "lesions": lesions(),
        "path": path / "report.html",
        **changes,
    }
    return write_patient_report(**given).read_text(encoding="utf-8")
