"""The patient's report: one file that works offline, says what the tables say, and escapes text."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import patient_pages
import pytest
from PIL import Image

from covidlit.errors import CovidlitError, ManifestError
from covidlit.scans.scan import Scan


def _scene(page: patient_pages.Page) -> dict[str, Any]:
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
    html = patient_pages.write(tmp_path)
    page = patient_pages.Page(html)
    assert "link" not in page.tags
    assert "iframe" not in page.tags
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "default-src 'none'" in html
    assert len(html) < 6e6


def test_factors_are_shown_with_units_and_the_undefined_as_such(tmp_path: Path) -> None:
    text = patient_pages.Page(patient_pages.write(tmp_path)).text
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
    text = patient_pages.Page(
        patient_pages.write(tmp_path, factors=patient_pages.factors(**extra))
    ).text
    text = text[text.index("Where they lie") :]
    assert text[text.index("Right lung") :][:4] == ["Right lung", "2100.0", "4.5", "0.2"]
    assert text[text.index("Upper third") + 1] == "12.3"
    assert text[text.index("Ground glass") + 1] == "4.5"
    assert "Left lung" not in text
    assert "Where they lie" not in patient_pages.Page(patient_pages.write(tmp_path)).text


def test_surfaces_lie_where_the_labels_lie_in_the_patient(tmp_path: Path) -> None:
    scene = _scene(patient_pages.Page(patient_pages.write(tmp_path)))
    classes, instances = patient_pages.labels()
    by_name = {surface["name"]: surface for surface in scene["surfaces"]}
    assert by_name.keys() == {"Lungs", "Ground glass", "Consolidation"}
    for name, number in (("Ground glass", 4), ("Consolidation", 9)):
        points = _points(by_name[name], scene["origin"])
        places = np.argwhere(instances == number)
        centre = (
            places.mean(0) @ patient_pages.affine_of_scan()[:3, :3].T
            + patient_pages.affine_of_scan()[:3, 3]
        )
        middle = (points.min(0) + points.max(0)) / 2
        np.testing.assert_allclose(middle, centre, atol=1.3)
        extent = (
            np.ptp(places @ patient_pages.affine_of_scan()[:3, :3].T, axis=0)
            + np.array(patient_pages.SPACING)[::-1]
        )
        assert (np.ptp(points, axis=0) <= extent + 0.2).all()
        assert (np.ptp(points, axis=0) >= 0.4 * extent).all()
    lungs = (
        np.argwhere(classes > 0) @ patient_pages.affine_of_scan()[:3, :3].T
        + patient_pages.affine_of_scan()[:3, 3]
    )
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
    page = patient_pages.Page(patient_pages.write(tmp_path))
    pictures = [_picture(link) for link in page.links]
    yellow = [(picture == patient_pages.GROUND_GLASS).all(-1) for picture in pictures]
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
    html = patient_pages.write(
        tmp_path,
        factors=patient_pages.factors(patient_id=evil),
        drawn_by=evil,
        notes=[evil],
        history=pd.DataFrame(
            [patient_pages.factors(patient_id=evil, scan_id=evil, acquisition_date="2020-03-01")]
        ),
    )
    page = patient_pages.Page(html)
    assert page.text.count(evil) == 4
    assert len(page.scripts) == 3
    assert "x" not in page.links


def test_the_trend_is_in_order_of_time_and_marks_this_scan(tmp_path: Path) -> None:
    rows = [
        patient_pages.factors(scan_id="scan-c", acquisition_date="2020-03-20", total_volume_ml=1.0),
        patient_pages.factors(),
        patient_pages.factors(scan_id="scan-a", acquisition_date="2020-03-01", total_volume_ml=9.0),
        patient_pages.factors(scan_id="scan-d", acquisition_date=None, total_volume_ml=7.0),
    ]
    page = patient_pages.Page(patient_pages.write(tmp_path, history=pd.DataFrame(rows)))
    text = page.text[page.text.index("Trend") :]
    order = [text.index(name) for name in ("scan-a", "scan-b (this report)", "scan-c", "scan-d")]
    assert order == sorted(order)
    assert text[text.index("scan-a") + 1] == "9.00 mL"
    assert any("1 scan without a date" in line for line in text)
    alone = patient_pages.Page(
        patient_pages.write(tmp_path, history=pd.DataFrame([patient_pages.factors()]))
    )
    assert "Trend" not in alone.text
    assert len(page.links) == len(alone.links) + 1


def test_a_history_of_another_patient_is_refused(tmp_path: Path) -> None:
    other = pd.DataFrame([patient_pages.factors(patient_id="P-18", scan_id="scan-z")])
    with pytest.raises(ManifestError, match="2 patients"):
        patient_pages.write(tmp_path, history=other)


def test_no_lesion_and_no_lung_are_said(tmp_path: Path) -> None:
    nothing = np.zeros(patient_pages.SHAPE, np.uint8)
    factors = dict.fromkeys(patient_pages.factors()) | {
        "patient_id": "P-17",
        "scan_id": "scan-b",
        "n_lesions": 0,
        "total_volume_ml": 0.0,
    }
    page = patient_pages.Page(
        patient_pages.write(
            tmp_path,
            classes=nothing,
            instances=nothing.astype(np.int32),
            lesions=patient_pages.lesions()[:0],
            factors=factors,
        )
    )
    text = " ".join(page.text)
    assert "No lesion was drawn." in text
    assert "No lung was drawn" in text
    assert page.scripts == []


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    classes, _ = patient_pages.labels()
    with pytest.raises(CovidlitError, match="do not fit the scan"):
        patient_pages.write(tmp_path, classes=classes[:-1])


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
    html = patient_pages.write(
        tmp_path,
        scan=Scan(noise, affine),
        classes=classes,
        instances=instances,
        lesions=pd.DataFrame(
            {"lesion_id": numbers, "class_name": "ground_glass", "volume_ml": 0.4}
        ),
    )
    scene = _scene(patient_pages.Page(html))
    lesions = next(s for s in scene["surfaces"] if s["name"] == "Ground glass")
    triangles = len(base64.b64decode(lesions["i"])) // (4 if lesions["wide"] else 2)
    assert 5_000 < triangles <= 60_000
    assert len(lesions["texts"]) == len(numbers)
    assert len(html) < 8e6


_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_without_a_network_draws_the_surfaces(tmp_path: Path) -> None:
    patient_pages.write(tmp_path)
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
