"""Other definitions: the digital phantom of IBSI with its published values, and sections."""

from __future__ import annotations

import numpy as np
import pytest

from covidlit.lesions import LesionLabels, quantify_labels, spread
from covidlit.lesions.sections import section_volume
from covidlit.lesions.spread import binary_mesh
from covidlit.scans.scan import Scan

# The Image Biomarker Standardisation Initiative's digital phantom (manual v11, 5.1): 5 x 4 x 4
# voxels of 2 mm, grey levels 1 to 6, 0 outside the region.
PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ],
    np.int16,
)
AFFINE = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1.0]])


def phantom() -> tuple[Scan, LesionLabels]:
    inside = PHANTOM > 0
    labels = LesionLabels(inside.astype(np.uint8) * 3, inside.astype(np.int32), AFFINE)
    return Scan(PHANTOM, AFFINE, "ibsi"), labels


def test_the_digital_phantom_has_its_published_values() -> None:
    scan, labels = phantom()
    row = quantify_labels(scan, labels).lesions.iloc[0]
    assert row["volume_ml"] * 1000 == pytest.approx(592)  # YEKZ
    assert row["max_diameter_3d_mm"] == pytest.approx(13.1, abs=0.05)  # L0JK
    assert row["mean_density_hu"] == pytest.approx(2.15, abs=0.005)  # Q4LE
    assert row["density_sd_hu"] ** 2 == pytest.approx(3.05, abs=0.005)  # ECT3
    volume, area = binary_mesh(PHANTOM > 0, (2.0, 2.0, 2.0))
    assert volume == pytest.approx(556, abs=0.5)  # RNU0
    assert area == pytest.approx(388, abs=0.5)  # C0JK
    table = spread(scan, labels).set_index(["factor", "definition"])["value"]
    assert table.xs("total_volume_ml", level=0).filter(like="RNU0").iloc[0] == pytest.approx(
        0.556, abs=5e-4
    )
    assert table.xs("form", level=0).iloc[0] == pytest.approx(0.843, abs=5e-4)  # QCFX
    assert table.xs("max_diameter_3d_mm", level=0).iloc[0] == pytest.approx(11.4, abs=0.05)  # TDIC


@pytest.mark.parametrize("shift", [0.0, 1.2, 2.2, 2.5, 4.0])
@pytest.mark.parametrize("radius", [10.0, 14.0, 30.0])
def test_sections_give_the_volume_of_a_ball_in_thick_slices(radius: float, shift: float) -> None:
    z = np.arange(-60, 60, 5.0) + shift
    areas = np.pi * np.maximum(0, radius**2 - z**2)
    volume = section_volume(areas[areas > 0], 5.0)
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.001)


def test_one_or_two_sections_are_counted() -> None:
    assert section_volume(np.array([7.0]), 5.0) == 35
    assert section_volume(np.array([7.0, 9.0]), 5.0) == 80


def test_definitions_that_differ_give_what_they_say() -> None:
    classes = np.zeros((4, 10, 10), np.uint8)
    hu = np.full(classes.shape, -850, np.int16)
    classes[:, :, :8] = 1
    hu[:, 0, :8] = 40  # vessels: 32 voxels
    classes[:, 2:4, :5] = 3
    hu[:, 2:4, :5] = -550
    classes[:, 5, :5] = 6
    hu[:, 5, :5] = 10
    instances = np.where(classes == 3, 1, np.where(classes == 6, 2, 0)).astype(np.int32)
    affine = np.diag([1.0, 1, 1, 1])[:, [2, 1, 0, 3]]
    scan, labels = Scan(hu, affine, "s"), LesionLabels(classes, instances, affine)
    airways = np.zeros(classes.shape, bool)
    airways[0, :, 9] = True
    table = spread(scan, labels, airways).set_index(["factor", "definition"])["value"]
    share = table.xs("proportion_percent", level=0)
    assert share.tolist() == pytest.approx(
        [100 * 60 / 320, 100 * 60 / 330, 100 * 60 / 288, 100 * 40 / 300]
    )
    glass = table.xs("ground_glass_volume_ml", level=0)
    assert (glass * 1000).tolist() == pytest.approx([40, 40, 40, 40])
    solid = table.xs("consolidation_volume_ml", level=0)
    assert (solid * 1000).tolist() == pytest.approx([0, 20, 20, 20])
    hu[:, 2:4, :5] = -400
    glass = spread(scan, labels).set_index(["factor", "definition"])["value"]
    assert (glass.xs("ground_glass_volume_ml", level=0) * 1000).tolist() == pytest.approx(
        [40, 40, 0, 40]
    )
