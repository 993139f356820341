"""The patient's report: one file that works offline, says what the tables say, and escapes text."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidlit.dicom.tracking import tracking_identifier
from covidlit.errors import CovidlitError, ManifestError
from covidlit.lesions.report import write_patient_report
from covidlit.scans.lesion_labels import LESION_CLASSES
from covidlit.scans.scan import Scan

SHAPE, SPACING = (20, 60, 72), (5.0, 2.0, 2.0)
GROUND_GLASS = (240, 228, 66)


def _affine() -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, SPACING[2]], [0, SPACING[1], 0], [SPACING[0], 0, 0]])
    affine[:3, 3] = (-70.0, -55.0, -1250.0)
    return affine


def _labels() -> tuple[np.ndarray, np.ndarray]:
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


def _factors(**changes: Any) -> dict[str, Any]:
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


def _lesions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lesion_id": [9, 4],
            "class_name": [LESION_CLASSES[2], LESION_CLASSES[3]],
            "volume_ml": [0.02, 4.48],
            "form": [np.nan, 0.81],
            "tracking_uid": ["2.25.1", "2.25.2"],
        }
    )


def _scan(**changes: Any) -> Scan:
    classes, _ = _labels()
    hu = np.where(classes == 1, -850, np.where(classes > 1, -300, 40)).astype(np.int16)
    return Scan(hu, _affine(), "1.2.3", **changes)


class _Page(HTMLParser):
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


def _write(path: Path, **changes: Any) -> str:
    classes, instances = _labels()
    given: dict[str, Any] = {
        "scan": _scan(),
        "classes": classes,
        "instances": instances,
        "factors": _factors(),
        "lesions": _lesions(),
        "path": path / "report.html",
        **changes,
    }
    return write_patient_report(**given).read_text(encoding="utf-8")


def _scene(page: _Page) -> dict[str, Any]:
    return json.loads(page.scripts[0])


def _points(surface: dict[str, Any], origin: list[float]) -> np.ndarray:
    return np.stack(
        [
            np.frombuffer(base64.b64decode(surface[axis]), "<i2") / 10 + origin[k]
            for k, axis in enumerate("xyz")
        ],
        axis=1,
    )


def test_nothing_is_fetched_and_the_file_stays_small(tmp_path: Path) -> None:
    html = _write(tmp_path)
    page = _Page(html)
    assert "link" not in page.tags
    assert "iframe" not in page.tags
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "default-src 'none'" in html
    assert len(html) < 6e6


def test_factors_are_shown_with_units_and_the_undefined_as_such(tmp_path: Path) -> None:
    text = _Page(_write(tmp_path)).text
    for label, value in {
        "Number of lesions": "2",
        "Total volume": "4.50 mL",
        "Proportion of the lung": "1.75 %",
        "Mean density": "-512 HU",
        "Edge clarity": "41.00 HU/mm",
        "Volume change": "not defined",
    }.items():
        assert text[text.index(label) + 1] == value
    assert any("no diagnosis" in line for line in text)
    assert any("no earlier scan" in line for line in text)


def test_sides_thirds_and_classes_are_shown_where_they_were_measured(tmp_path: Path) -> None:
    extra = {
        "right_lung_volume_ml": 2100.04,
        "right_volume_ml": 4.5,
        "right_proportion_percent": 0.21,
        "left_proportion_percent": None,
        "upper_proportion_percent": 12.34,
        "ground_glass_volume_ml": 4.48,
    }
    text = _Page(_write(tmp_path, factors=_factors(**extra))).text
    text = text[text.index("Where they lie") :]
    assert text[text.index("Right lung") :][:4] == ["Right lung", "2100.0", "4.5", "0.2"]
    assert text[text.index("Upper third") + 1] == "12.3"
    assert text[text.index("Ground glass") + 1] == "4.5"
    assert "Left lung" not in text
    assert "Where they lie" not in _Page(_write(tmp_path)).text


def test_surfaces_lie_where_the_labels_lie_in_the_patient(tmp_path: Path) -> None:
    scene = _scene(_Page(_write(tmp_path)))
    classes, instances = _labels()
    by_name = {surface["name"]: surface for surface in scene["surfaces"]}
    assert by_name.keys() == {"Lungs", "Ground glass", "Consolidation"}
    for name, number in (("Ground glass", 4), ("Consolidation", 9)):
        points = _points(by_name[name], scene["origin"])
        places = np.argwhere(instances == number)
        centre = places.mean(0) @ _affine()[:3, :3].T + _affine()[:3, 3]
        middle = (points.min(0) + points.max(0)) / 2
        np.testing.assert_allclose(middle, centre, atol=1.3)
        extent = np.ptp(places @ _affine()[:3, :3].T, axis=0) + np.array(SPACING)[::-1]
        assert (np.ptp(points, axis=0) <= extent + 0.2).all()
        assert (np.ptp(points, axis=0) >= 0.4 * extent).all()
    lungs = np.argwhere(classes > 0) @ _affine()[:3, :3].T + _affine()[:3, 3]
    points = _points(by_name["Lungs"], scene["origin"])
    np.testing.assert_allclose(points.min(0), lungs.min(0), atol=4)
    np.testing.assert_allclose(points.max(0), lungs.max(0), atol=4)
    assert by_name["Ground glass"]["texts"] == ["Lesion 4: Ground glass, 4.48 mL"]
    faces = np.frombuffer(base64.b64decode(by_name["Lungs"]["i"]), "<u2")
    assert faces.max() < len(points)


def _picture(link: str) -> np.ndarray:
    content = base64.b64decode(link.split(",", 1)[1])
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def test_key_slices_show_contours_with_the_patients_right_on_the_left(tmp_path: Path) -> None:
    page = _Page(_write(tmp_path))
    pictures = [_picture(link) for link in page.links]
    yellow = [(picture == GROUND_GLASS).all(-1) for picture in pictures]
    shown = [mask for mask in yellow[:-2] if mask.any()]
    assert shown
    for mask in shown:
        assert np.argwhere(mask)[:, 1].max() < mask.shape[1] / 2
    front, left = pictures[-2:]
    assert front.shape == (100, 144, 3)  # a millimetre to a pixel
    assert left.shape == (100, 120, 3)
    coloured = np.argwhere(front.max(-1) != front.min(-1))
    assert coloured[:, 1].max() < 72
    assert coloured[:, 0].mean() < 50  # z = 12 of 20 lies in the upper half: head on top
    # From the left the front of the patient is on the left: the large lesion has y = 20 of 60.
    assert np.argwhere(left.max(-1) != left.min(-1))[:, 1].mean() < 60


def test_text_of_the_user_is_never_markup(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    html = _write(
        tmp_path,
        factors=_factors(patient_id=evil),
        drawn_by=evil,
        notes=[evil],
        history=pd.DataFrame(
            [_factors(patient_id=evil, scan_id=evil, acquisition_date="2020-03-01")]
        ),
    )
    page = _Page(html)
    assert page.text.count(evil) == 4
    assert len(page.scripts) == 3
    assert "x" not in page.links


def test_the_trend_is_in_order_of_time_and_marks_this_scan(tmp_path: Path) -> None:
    rows = [
        _factors(scan_id="scan-c", acquisition_date="2020-03-20", total_volume_ml=1.0),
        _factors(),
        _factors(scan_id="scan-a", acquisition_date="2020-03-01", total_volume_ml=9.0),
        _factors(scan_id="scan-d", acquisition_date=None, total_volume_ml=7.0),
    ]
    page = _Page(_write(tmp_path, history=pd.DataFrame(rows)))
    text = page.text[page.text.index("Trend") :]
    order = [text.index(name) for name in ("scan-a", "scan-b (this report)", "scan-c", "scan-d")]
    assert order == sorted(order)
    assert text[text.index("scan-a") + 1] == "9.00 mL"
    assert any("1 scan(s) without a date" in line for line in text)
    alone = _Page(_write(tmp_path, history=pd.DataFrame([_factors()])))
    assert "Trend" not in alone.text
    assert len(page.links) == len(alone.links) + 1


def test_a_history_of_another_patient_is_refused(tmp_path: Path) -> None:
    other = pd.DataFrame([_factors(patient_id="P-18", scan_id="scan-z")])
    with pytest.raises(ManifestError, match="2 patients"):
        _write(tmp_path, history=other)


def test_no_lesion_and_no_lung_are_said(tmp_path: Path) -> None:
    nothing = np.zeros(SHAPE, np.uint8)
    factors = dict.fromkeys(_factors()) | {
        "patient_id": "P-17",
        "scan_id": "scan-b",
        "n_lesions": 0,
        "total_volume_ml": 0.0,
    }
    page = _Page(
        _write(
            tmp_path,
            classes=nothing,
            instances=nothing.astype(np.int32),
            lesions=_lesions()[:0],
            factors=factors,
        )
    )
    text = " ".join(page.text)
    assert "No lesion was drawn." in text
    assert "No lung was drawn" in text
    assert page.scripts == []


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    classes, _ = _labels()
    with pytest.raises(CovidlitError, match="do not fit the scan"):
        _write(tmp_path, classes=classes[:-1])


def test_many_lesions_stay_within_the_budget(tmp_path: Path) -> None:
    shape = (60, 200, 200)
    rng = np.random.default_rng(0)
    classes = np.full(shape, 1, np.uint8)
    instances = np.zeros(shape, np.int32)
    for number in range(1, 301):
        z, y, x = (int(rng.integers(4, size - 4)) for size in shape)
        part = np.s_[z - 3 : z + 3, y - 4 : y + 4, x - 4 : x + 4]
        classes[part], instances[part] = 3, number
    numbers = np.unique(instances)[1:]
    affine = np.diag([1.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]]
    noise = rng.normal(-500, 200, shape).astype(np.int16)
    html = _write(
        tmp_path,
        scan=Scan(noise, affine),
        classes=classes,
        instances=instances,
        lesions=pd.DataFrame(
            {"lesion_id": numbers, "class_name": "ground_glass", "volume_ml": 0.4}
        ),
    )
    scene = _scene(_Page(html))
    lesions = next(s for s in scene["surfaces"] if s["name"] == "Ground glass")
    triangles = len(base64.b64decode(lesions["i"])) // (4 if lesions["wide"] else 2)
    assert 5_000 < triangles <= 60_000
    assert len(lesions["texts"]) == len(numbers)
    assert len(html) < 8e6


_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_without_a_network_draws_the_surfaces(tmp_path: Path) -> None:
    _write(tmp_path)
    said = subprocess.run(
        [
            str(_CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            (tmp_path / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    drawn = re.search(r'id="view3d"[^>]*data-drawn="(\d+)"', said.stdout)
    assert drawn is not None, said.stderr[-2000:]
    assert drawn[1] == "3"
    assert "<canvas" in said.stdout


def test_the_verdict_is_that_of_the_limits_of_agreement(tmp_path: Path) -> None:
    now = {"lung_volume_ml": 4000.0, "mean_density_hu": -512.4}
    earlier = [
        _factors(scan_id="scan-a", acquisition_date="2020-03-01", total_volume_ml=9.0, **now),
        _factors(scan_id="scan-0", acquisition_date="2020-03-01", total_volume_ml=11.0, **now),
    ]
    this = _factors(total_volume_ml=90.0, **(now | {"lung_volume_ml": 2000.0}))
    page = _Page(_write(tmp_path, factors=this, history=pd.DataFrame([*earlier, this])))
    (said,) = [line for line in page.text if line.startswith("Total volume +")]
    assert "+80.0 mL: more than before" in said
    assert "mean density: within the limits" in said
    assert "volume of the lungs: less than before. The lungs were not filled alike" in said
    assert "the mean counts" in said
    assert page.text.count("another scan on this day") == 2
    small = _factors(total_volume_ml=10.5, **now)
    page = _Page(_write(tmp_path, factors=small, history=pd.DataFrame([*earlier, small])))
    assert any(line.startswith("Total volume +0.5 mL: within the limits") for line in page.text)


def test_changes_of_single_lesions_are_said_to_be_uncorrected(tmp_path: Path) -> None:
    this = _factors(total_volume_ml=90.0)
    earlier = _factors(scan_id="scan-a", acquisition_date="2020-03-01", total_volume_ml=9.0)
    change = {
        "patient_id": this["patient_id"], "scan_before": "scan-a", "scan_after": this["scan_id"],
        "change": "gone", "lesions_before": "2", "lesions_after": "", "volume_before_ml": 0.4,
        "volume_after_ml": 0.0, "tracking_uid": "2.25.1", "by_limits_of_total": "within limits",
    }  # fmt: skip
    history = pd.DataFrame([earlier, this])
    given = {"factors": this, "history": history, "changes": pd.DataFrame([change])}
    page = _Page(_write(tmp_path, **given))
    assert "within limits" in page.text
    assert "By the limits of the total" in page.text
    assert any("Changes of single lesions are uncorrected" in line for line in page.text)
    alone = _Page(_write(tmp_path, factors=this, history=history))
    assert not any("uncorrected:" in line for line in alone.text)


def test_lesions_have_the_name_that_they_have_in_dicom(tmp_path: Path) -> None:
    lesions = _lesions()
    plain = _Page(_write(tmp_path, lesions=lesions.drop(columns="tracking_uid")))
    assert "In DICOM" not in plain.text
    uids = [f"2.25.{number}" for number in range(1, len(lesions) + 1)]
    page = _Page(_write(tmp_path, lesions=lesions.assign(tracking_uid=uids)))
    assert "In DICOM" in page.text
    assert all(tracking_identifier(uid) in page.text for uid in uids)
