"""Planes of three axes: the right voxels at the right place, pictures of the right shape."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidlit.platform.viewing.drawing import draw
from covidlit.platform.viewing.planes import (
    AXES,
    CORONAL,
    SAGITTAL,
    Planes,
    write_label_planes,
    write_planes,
)
from covidlit.scans.scan import Scan

SPACING = (5.0, 0.8, 0.7)


def scan_of(shape: tuple[int, int, int]) -> Scan:
    """Every voxel another value, as far as 16 bits go."""
    z, y, x = SPACING
    affine = np.array([[0, 0, x, 0], [0, y, 0, 0], [z, 0, 0, 0], [0, 0, 0, 1.0]])
    hu = (np.arange(np.prod(shape)) % 30_000 - 1000).reshape(shape).astype(np.int16)
    return Scan(hu, affine)


def test_planes_hold_the_voxels_with_the_head_up(tmp_path: Path) -> None:
    scan = scan_of((6, 9, 11))
    write_planes(scan, tmp_path / "planes.zip")
    axial, coronal, sagittal = (Planes(tmp_path / "planes.zip", axis) for axis in AXES)
    assert [len(each) for each in (axial, coronal, sagittal)] == [6, 9, 11]
    np.testing.assert_array_equal(axial.plane(4), scan.hu[4])
    # Row 0 is the head: the last slice from the feet.
    assert coronal.plane(3)[0, 7] == scan.hu[5, 3, 7]
    assert coronal.plane(3)[5, 7] == scan.hu[0, 3, 7]
    assert sagittal.plane(8)[1, 2] == scan.hu[4, 2, 8]
    assert coronal.spacing == pytest.approx((0.8, 5.0, 0.7))
    assert sagittal.spacing == pytest.approx((0.7, 5.0, 0.8))


def test_a_large_matrix_is_thinned_and_labels_stay_on_their_voxels(tmp_path: Path) -> None:
    scan = scan_of((2, 512, 512))
    write_planes(scan, tmp_path / "planes.zip")
    coronal = Planes(tmp_path / "planes.zip", CORONAL)
    assert len(coronal) == 256
    assert coronal.plane(10).shape == (2, 256)
    assert coronal.plane(10)[1, 7] == scan.hu[0, 20, 14]
    assert coronal.spacing == pytest.approx((1.6, 5.0, 1.4))
    classes = np.zeros(scan.hu.shape, np.uint8)
    classes[0, 20, 14] = 3
    write_label_planes(classes, (classes == 3).astype(np.int32) * 7, tmp_path / "labels.zip")
    drawn = Planes(tmp_path / "labels.zip", CORONAL).plane(10)
    assert np.argwhere(drawn[0] == 3).tolist() == [[1, 7]]
    assert np.argwhere(drawn[1] == 7).tolist() == [[1, 7]]
    assert Planes(tmp_path / "labels.zip", SAGITTAL).plane(7)[0, 1, 10] == 3


@pytest.mark.parametrize("axis", [CORONAL, SAGITTAL])
def test_pictures_are_as_high_as_the_patient(tmp_path: Path, axis: str) -> None:
    scan = scan_of((40, 64, 64))
    write_planes(scan, tmp_path / "planes.zip")
    planes = Planes(tmp_path / "planes.zip", axis)
    picture = Image.open(io.BytesIO(draw(planes.plane(5), planes.spacing)))
    across = SPACING[2] if axis == CORONAL else SPACING[1]
    assert picture.height / picture.width == pytest.approx(40 * 5 / (64 * across), rel=0.02)
