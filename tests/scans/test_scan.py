"""The Scan contract and its orientations."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from covidlit.errors import CovidlitError
from covidlit.scans.scan import Scan, to_canonical, to_ras_xyz

AFFINE = np.array([[0, 0, 0.7, -10], [0, 0.8, 0, -20], [2.5, 0, 0, 30], [0, 0, 0, 1.0]])
VOLUME = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_every_axis_order_becomes_the_same_canonical_scan(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    array, affine = VOLUME.transpose(order), AFFINE[:, [*order, 3]].copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            array = np.flip(array, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
    back, canonical = to_canonical(array, affine)
    assert np.array_equal(back, VOLUME)
    assert canonical == pytest.approx(AFFINE)


def test_an_oblique_volume_keeps_each_voxel_in_place() -> None:
    angle = np.radians(25)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    flipped = np.flip(VOLUME, 2)
    affine = turn @ AFFINE
    affine[:3, 3] += affine[:3, 2] * 3
    affine[:3, 2] *= -1
    back, canonical = to_canonical(flipped, affine)
    assert np.array_equal(back, VOLUME)
    assert canonical == pytest.approx(turn @ AFFINE)


def test_spacing_is_in_the_order_of_the_axes() -> None:
    assert Scan(VOLUME, AFFINE).spacing == pytest.approx((2.5, 0.8, 0.7))


@pytest.mark.parametrize(
    ("hu", "affine", "word"),
    [
        (VOLUME.astype(np.int32), AFFINE, "int16"),
        (VOLUME[0], AFFINE, "int16 array"),
        (VOLUME[:0], AFFINE, "non-empty"),
        (VOLUME, AFFINE[:3], "affine"),
        (VOLUME, np.full((4, 4), np.nan), "finite"),
        (VOLUME, AFFINE * [1, 1, -1, 1], "canonical"),
        (VOLUME, AFFINE[:, [1, 0, 2, 3]], "canonical"),
    ],
)
def test_what_is_not_a_scan_is_refused(hu: np.ndarray, affine: np.ndarray, word: str) -> None:
    with pytest.raises(CovidlitError, match=word):
        Scan(hu, affine)


def test_ras_is_what_nifti_stores(tmp_path: Path) -> None:
    nib = pytest.importorskip("nibabel")  # comes with TorchIO
    image = sitk.GetImageFromArray(VOLUME)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10, -20, 30))
    sitk.WriteImage(image, str(tmp_path / "a.nii"))
    assert to_ras_xyz(AFFINE) == pytest.approx(nib.load(tmp_path / "a.nii").affine, abs=1e-5)
