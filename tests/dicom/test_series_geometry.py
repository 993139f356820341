"""Order and affine of a series, against analytic geometry and SimpleITK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset

from covidlit.dicom import Checks, find_series, judge, read_series
from covidlit.dicom.facts import metadata_of
from covidlit.scans.images import affine_of_image

Write = Callable[..., Path]
ANGLE = np.radians(7.0)


def _corner(ds: Dataset) -> np.ndarray:
    return np.array(ds.ImagePositionPatient, float)


ORIENTATIONS = {
    "head first supine": [1, 0, 0, 0, 1, 0],
    "head first prone": [-1, 0, 0, 0, -1, 0],
    "feet first": [-1, 0, 0, 0, 1, 0],
    "turned about z": [np.cos(ANGLE), np.sin(ANGLE), 0, -np.sin(ANGLE), np.cos(ANGLE), 0],
    "oblique": [np.cos(ANGLE), 0, np.sin(ANGLE), 0, 1, 0],
    "decubitus": [0, 1, 0, -1, 0, 0],
}


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("direction", [1, -1])
def test_each_voxel_keeps_its_place_in_the_patient(
    write_ct: Write, stored: Callable[..., None], name: str, direction: int
) -> None:
    """HU is a known function of the place in the patient; the affine must lead there."""
    cosines = np.array(ORIENTATIONS[name])
    row, column = cosines[:3], cosines[3:]
    normal = np.cross(row, column)
    corner = np.array([-20.0, 30.0, 100.0])
    i, j = np.mgrid[0:12, 0:10]

    def edit(ds: Dataset, k: int) -> None:
        position = corner + direction * 2.5 * k * normal
        ds.ImagePositionPatient = [round(float(value), 8) for value in position]
        ds.ImageOrientationPatient = [round(float(value), 10) for value in cosines]
        place = position + i[..., None] * 0.8 * column + j[..., None] * 0.7 * row
        stored(ds, np.rint(place @ [3, 5, 7]) + 1000)

    scan = read_series(write_ct(edit=edit))
    index = np.stack(np.meshgrid(*map(np.arange, scan.hu.shape), indexing="ij"), axis=-1)
    place = index @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    assert np.abs(scan.hu - place @ [3, 5, 7]).max() <= 0.51
    assert sorted(scan.hu.shape) == [10, 12, 14]
    assert scan.hu.flags.c_contiguous


def test_the_order_of_files_and_instance_numbers_does_not_matter(write_ct: Write) -> None:
    shuffled = np.random.default_rng(0).permutation(14)

    def edit(ds: Dataset, k: int) -> None:
        ds.InstanceNumber = int(shuffled[k])

    scan = read_series(write_ct(edit=edit))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(14))


def test_order_and_affine_equal_simpleitk(write_ct: Write) -> None:
    folder = write_ct()
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    scan = read_series(folder)
    assert np.array_equal(scan.hu, sitk.GetArrayFromImage(image))
    assert scan.affine == pytest.approx(affine_of_image(image))


def test_a_spacing_rounded_in_the_header_does_not_add_up(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = [0, 0, round(k * 0.703125, 3)]

    scan = read_series(write_ct(n=200, edit=edit))
    assert scan.spacing[0] == pytest.approx(0.703125, abs=1e-5)


def test_slice_thickness_is_not_the_spacing(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.SliceThickness = 5

    assert read_series(write_ct(edit=edit)).spacing == pytest.approx((2.5, 0.8, 0.7))


def test_one_slice_takes_the_spacing_of_its_header(write_ct: Write) -> None:
    scan = read_series(write_ct(n=1), Checks(min_slices=1))
    assert scan.spacing[0] == pytest.approx(2.5)


def test_the_facts_of_a_series(write_ct: Write) -> None:
    (series,) = find_series(write_ct()).series
    facts = metadata_of(series)
    assert facts["manufacturer"] == "SYNTHETIC"
    assert facts["kernel"] == "B31f"
    assert (facts["kvp"], facts["exposure_mas"]) == (120.0, 150.0)
    assert (facts["rows"], facts["columns"], facts["n_slices"]) == (12, 10, 14)
    assert facts["slice_thickness_mm"] == 2.5
    assert facts["acquisition_date"] == "2020-03-01"
    assert (facts["age"], facts["sex"]) == (69.0, "F")  # born on 15 June 1950
    row = judge(series).to_row()
    assert row["slice_spacing_mm"] == 2.5
    assert row["accepted"] is True
