"""Scans from and to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from covidlit.cohort.scan_reader import load_scan
from covidlit.errors import CovidlitError
from covidlit.scans.images import affine_of_image, read_image, write_nifti

HU = np.random.default_rng(0).integers(-1024, 3000, (4, 5, 6)).astype(np.int16)
AFFINE = np.array([[0, 0, 0.7, -10], [0, 0.8, 0, -20], [2.5, 0, 0, 30], [0, 0, 0, 1.0]])


def image(
    array: np.ndarray, direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)
) -> sitk.Image:
    """A SimpleITK image with the geometry of AFFINE."""
    made = sitk.GetImageFromArray(array)
    made.SetSpacing((0.7, 0.8, 2.5))
    made.SetOrigin((-10, -20, 30))
    made.SetDirection(direction)
    return made


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd"])
def test_formats_of_simpleitk(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(image(HU), str(path))
    scan = read_image(path)
    assert np.array_equal(scan.hu, HU)
    assert scan.affine == pytest.approx(AFFINE, abs=1e-5)
    assert scan.series_uid == "case"
    assert np.array_equal(load_scan(path).hu, HU)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd", ".gipl", ".img"])
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, ending: str, kept: float) -> None:
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(image(HU), str(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(CovidlitError, match=r"cut off|cannot be read"):
        read_image(path)


def test_other_axes_are_made_canonical(tmp_path: Path) -> None:
    path = tmp_path / "turned.mha"
    sitk.WriteImage(image(HU, (-1, 0, 0, 0, 1, 0, 0, 0, -1)), str(path))
    scan = read_image(path)
    assert np.array_equal(scan.hu, HU[::-1, :, ::-1])
    assert scan.affine[:3, 3] == pytest.approx([-10 - 5 * 0.7, -20, 30 - 3 * 2.5])


def test_floats_are_rounded_and_padding_becomes_air(tmp_path: Path) -> None:
    values = HU.astype(np.float32)
    values[0, 0, :4] = [-3024, 12.4, 12.6, 1e6]
    path = tmp_path / "float.mha"
    sitk.WriteImage(image(values), str(path))
    assert read_image(path).hu[0, 0, :4].tolist() == [-1024, 12, 13, 32767]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.int32, bool])
def test_written_volumes_come_back(tmp_path: Path, kind: type, ending: str) -> None:
    array = (np.arange(120).reshape(4, 5, 6) % 7).astype(kind)
    path = write_nifti(array, AFFINE, tmp_path / f"labels{ending}")
    back = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(back), array)
    assert affine_of_image(back) == pytest.approx(AFFINE, abs=1e-5)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"labels{ending}"]


def test_wrong_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(CovidlitError, match="no such file"):
        load_scan(tmp_path / "none.nii.gz")
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing")
    with pytest.raises(CovidlitError, match="cannot be read as an image"):
        load_scan(tmp_path / "bad.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(HU[0]), str(tmp_path / "flat.mha"))
    with pytest.raises(CovidlitError, match="one 3D volume"):
        read_image(tmp_path / "flat.mha")
    colour = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(colour, str(tmp_path / "colour.mha"))
    with pytest.raises(CovidlitError, match=r"3 component"):
        read_image(tmp_path / "colour.mha")
    sitk.WriteImage(image(np.full((4, 5, 6), np.nan)), str(tmp_path / "nan.mha"))
    with pytest.raises(CovidlitError, match="not finite"):
        read_image(tmp_path / "nan.mha")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    sheared = AFFINE.copy()
    sheared[1, 0] = 1
    for array, affine, name, word in (
        (HU.astype(float), AFFINE, "a.nii", "integers"),
        (HU, AFFINE, "a.png", "ends in"),
        (HU, sheared, "a.nii", "perpendicular"),
    ):
        with pytest.raises(CovidlitError, match=word):
            write_nifti(array, affine, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
