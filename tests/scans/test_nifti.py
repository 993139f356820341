"""NIfTI and Analyze: the HU at the millimetres that the header gives, a note, or a refusal."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from chests import LAS, SHAPE, hu_at, hu_on, save

from covidlit.cohort.scan_reader import load_scan
from covidlit.dicom import Checks
from covidlit.errors import CovidlitError
from covidlit.scans.images import read_image
from covidlit.scans.scan import Scan

HU = hu_on(LAS).astype(np.int16)


def right(scan: Scan) -> float:
    """Share of voxels with the chest's HU at the place that the affine gives."""
    index = np.indices(scan.hu.shape).reshape(3, -1)
    x, y, z = scan.affine[:3, :3] @ index + scan.affine[:3, 3:]
    return float((np.abs(hu_at(x, y, z).reshape(scan.hu.shape) - scan.hu) <= 1).mean())


def edited(path: Path, *edits: tuple[int, bytes]) -> Path:
    raw = bytearray(path.read_bytes())
    for start, content in edits:
        raw[start : start + len(content)] = content
    path.write_bytes(raw)
    return path


def test_hu_lie_where_the_affine_puts_them(tmp_path: Path) -> None:
    scan = read_image(save(tmp_path / "ct.nii.gz", HU))
    assert right(scan) == 1
    assert scan.notes == ()
    assert scan.lungs_in_view_percent == 100
    turned = np.array([[0, 0, 5.0, -150], [5.0, 0, 0, -170], [0, -5.0, 0, 150], [0, 0, 0, 1]])
    other = read_image(save(tmp_path / "b.nii", hu_on(turned).astype(np.int16), turned))
    assert right(other) == 1


@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (2, 1), (0, 2)])
def test_either_form_is_enough(tmp_path: Path, sform: int, qform: int) -> None:
    assert right(read_image(save(tmp_path / "ct.nii", HU, sform=sform, qform=qform))) == 1


def test_without_orientation_a_file_is_refused_unless_it_is_stated(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii.gz", HU, sform=0, qform=0)
    with pytest.raises(CovidlitError, match=r"no_orientation.*image_orientation"):
        read_image(path)
    scan = load_scan(path, checks=Checks(image_orientation="lps"))
    assert np.array_equal(scan.hu, HU.transpose(2, 1, 0))
    assert "stated as LPS" in scan.notes[0]
    ras = load_scan(path, checks=Checks(image_orientation="RAS"))
    assert np.array_equal(ras.hu, HU.transpose(2, 1, 0)[:, ::-1, ::-1])
    with pytest.raises(CovidlitError, match="is no orientation"):
        Checks(image_orientation="LLS")


def test_analyze_says_no_orientation(tmp_path: Path) -> None:
    pair = nib.AnalyzeImage(HU[:, ::-1], None)
    pair.header.set_zooms((5, 5, 5))
    nib.save(pair, tmp_path / "ct.img")
    for name in ("ct.img", "ct.hdr"):
        with pytest.raises(CovidlitError, match=r"no_orientation: .*Analyze"):
            read_image(tmp_path / name)
        scan = read_image(tmp_path / name, orientation="LAS")
        assert np.array_equal(scan.hu, HU.transpose(2, 1, 0))
        assert scan.spacing == pytest.approx((5, 5, 5))


def test_nan_about_the_image_is_air_and_told(tmp_path: Path) -> None:
    hu = HU.astype(np.float32)
    i, j, _ = np.indices(SHAPE)
    outside = ((i - 35.5) / 35) ** 2 + ((j - 31.5) / 31) ** 2 > 1
    hu[outside] = np.nan
    hu[:3, :3] = -np.inf
    scan = read_image(save(tmp_path / "ct.nii.gz", hu))
    assert (scan.hu[outside.transpose(2, 1, 0)] == -1024).all()
    assert np.array_equal(scan.hu.transpose(2, 1, 0)[~outside], HU[~outside])
    assert "taken as air" in scan.notes[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_the_body_is_refused_by_name(tmp_path: Path, value: float) -> None:
    hu = HU.astype(np.float32)
    hu[30:34, 30:34, 30:34] = value
    path = save(tmp_path / "ct.nii", hu)
    with pytest.raises(CovidlitError, match=r"not_finite: .*64 of them inside"):
        read_image(path)
    assert read_image(path, override=["not_finite"]).hu[31, 31, 31] == -1024


def test_axes_that_are_off_by_rounding_are_made_perpendicular_and_told(tmp_path: Path) -> None:
    affine = LAS.copy()
    affine[0, 1], affine[1, 0], affine[1, 2] = 0.004, 0.002, 0.003
    scan = read_image(save(tmp_path / "ct.nii", hu_on(affine).astype(np.int16), affine, qform=0))
    assert right(scan) > 0.995
    steps = scan.affine[:3, :3] / 5
    assert steps.T @ steps == pytest.approx(np.eye(3), abs=1e-5)
    assert "off a right angle" in scan.notes[0]


@pytest.mark.parametrize("degrees", [15.0, 2.0, 0.5])
@pytest.mark.parametrize("ending", ["nii", "nrrd"])
def test_a_shear_is_refused_in_degrees(tmp_path: Path, degrees: float, ending: str) -> None:
    affine = LAS.copy()
    affine[1, 2] = 5 * np.tan(np.radians(degrees))
    path = save(tmp_path / "ct.nii", HU, affine, qform=0)
    if ending == "nrrd":
        path = tmp_path / "ct.nrrd"
        image = sitk.GetImageFromArray(HU.transpose(2, 1, 0))
        steps = (np.diag([-1, -1, 1]) @ affine[:3, :3]) / 5
        image.SetDirection((steps / np.linalg.norm(steps, axis=0)).ravel().tolist())
        image.SetSpacing((5.0, 5.0, 5.0))
        sitk.WriteImage(image, str(path))
    with pytest.raises(CovidlitError, match=rf"sheared: .*{degrees:.1f} degrees"):
        read_image(path)


@pytest.mark.parametrize("sizes", [(5, 5, 0), (1, 1, 1), (5, 5, 2.5), (np.nan, 5, 5)])
def test_the_sform_counts_against_other_voxel_sizes_and_it_is_told(
    tmp_path: Path, sizes: tuple[float, float, float]
) -> None:
    path = save(tmp_path / "ct.nii", HU, qform=0)
    scan = read_image(edited(path, (80, np.array(sizes, "<f4").tobytes())))
    assert right(scan) == 1
    assert "voxel sizes disagree: 5 x 5 x 5 by the sform, which was taken" in scan.notes[0]


def test_directions_without_a_length_are_refused(tmp_path: Path) -> None:
    affine = LAS.copy()
    affine[:3, :3] /= 5
    path = save(tmp_path / "ct.nii", HU, affine, qform=0)
    with pytest.raises(CovidlitError, match="sform and voxel sizes disagree"):
        read_image(edited(path, (80, np.array((5, 5, 5), "<f4").tobytes())))


def test_the_qform_counts_where_it_has_no_length(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", HU, sform=0)
    with pytest.raises(CovidlitError, match=r"voxel sizes 5 x 5 x 0"):
        read_image(edited(path, (80, np.array((5, 5, 0), "<f4").tobytes())))


def test_sform_and_qform_that_differ_are_told_or_refused(tmp_path: Path) -> None:
    moved = LAS.copy()
    moved[2, 3] += 40
    image = nib.Nifti1Image(HU, LAS)
    image.set_sform(LAS, 1)
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "moved.nii")
    scan = read_image(tmp_path / "moved.nii")
    assert right(scan) == 1
    assert "up to 40 mm apart: the sform was taken" in scan.notes[0]
    image.set_sform(moved, 4)
    image.set_qform(LAS, 1)
    nib.save(image, tmp_path / "template.nii")
    scan = read_image(tmp_path / "template.nii")
    assert right(scan) == 1
    assert "template" in scan.notes[0]
    mirrored = LAS @ np.diag([-1, 1, 1, 1])
    image.set_sform(mirrored, 1)
    nib.save(image, tmp_path / "mirrored.nii")
    with pytest.raises(CovidlitError, match="no_orientation: sform and qform turn"):
        read_image(tmp_path / "mirrored.nii")


@pytest.mark.parametrize(("unit", "factor", "name"), [(1, 0.001, "metres"), (3, 1000, "micro")])
def test_other_units_become_mm(tmp_path: Path, unit: int, factor: float, name: str) -> None:
    affine = LAS.copy()
    affine[:3] *= factor
    path = edited(save(tmp_path / "ct.nii", HU, affine), (123, bytes([unit])))
    scan = read_image(path)
    assert right(scan) == 1
    assert name in scan.notes[0]


def test_millimetres_that_are_called_metres_are_refused(tmp_path: Path) -> None:
    path = edited(save(tmp_path / "ct.nii", HU), (123, bytes([1])))
    with pytest.raises(CovidlitError, match="5000 x 5000 x 5000 mm"):
        read_image(path)


@pytest.mark.parametrize(("slope", "inter"), [(1, 0), (0, 0), (np.nan, np.nan), (0.5, -1024)])
def test_values_are_scaled_as_the_header_says(tmp_path: Path, slope: float, inter: float) -> None:
    stored = (HU + 1024) * 2 if slope == 0.5 else HU
    path = save(tmp_path / "ct.nii", stored.astype(np.int16))
    scan = read_image(edited(path, (112, struct.pack("<2f", slope, inter))))
    assert right(scan) == 1


def test_an_intercept_beside_a_slope_of_zero_is_told_and_what_follows_refused(
    tmp_path: Path,
) -> None:
    path = save(tmp_path / "ct.nii", (HU + 1024).astype(np.int16))
    path = edited(path, (112, struct.pack("<2f", 0, -1024)))
    with pytest.raises(CovidlitError, match=r"not_hu: .*HU \+ 1024"):
        read_image(path)
    scan = read_image(path, override=["not_hu"])
    assert any("scl_inter -1024" in note for note in scan.notes)


def plain(raw: bytes) -> bytes:
    return raw


def twice(raw: bytes) -> bytes:
    return gzip.compress(gzip.compress(raw))


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.mha", "ct.NII.GZ", "ct.dat"])
@pytest.mark.parametrize("packed", [plain, gzip.compress, twice])
def test_a_file_is_read_by_what_it_is(
    tmp_path: Path, name: str, packed: Callable[[bytes], bytes]
) -> None:
    raw = save(tmp_path / "whole.nii", HU).read_bytes()
    (tmp_path / name).write_bytes(packed(raw))
    assert right(load_scan(tmp_path / name)) == 1


def test_other_formats_under_the_name_of_nifti(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(HU.transpose(2, 1, 0))
    image.SetSpacing((5.0, 5.0, 5.0))
    image.SetOrigin((-177.5, -157.5, -150.0))
    for kind in ("mha", "nrrd"):
        sitk.WriteImage(image, str(tmp_path / f"a.{kind}"))
        (tmp_path / f"a.{kind}").rename(tmp_path / f"{kind}.nii")
        assert right(read_image(tmp_path / f"{kind}.nii")) == 1


def test_an_nrrd_that_gives_no_space_has_no_orientation(tmp_path: Path) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 72 64 60\nspacings: 5 5 5\n"
        "endian: little\nencoding: raw\n\n"
    )
    path = tmp_path / "ct.nrrd"
    path.write_bytes(header.encode() + HU.transpose(2, 1, 0).astype("<i2").tobytes())
    with pytest.raises(CovidlitError, match="no_orientation"):
        read_image(path)
    assert np.array_equal(read_image(path, orientation="LPS").hu, HU.transpose(2, 1, 0))


def test_what_is_not_one_volume_of_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CovidlitError, match=r"2 volumes in one file \(4D\)"):
        read_image(save(tmp_path / "4d.nii", np.stack([HU, HU], -1)))
    assert right(read_image(save(tmp_path / "one.nii", HU[..., None]))) == 1
    colour = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(CovidlitError, match=r"colours \(RGB\)"):
        read_image(save(tmp_path / "rgb.nii", colour))
    bomb = save(tmp_path / "big.nii.gz", HU[:2, :2, :2])
    raw = bytearray(gzip.decompress(bomb.read_bytes()))
    raw[42:48] = struct.pack("<3h", 30000, 30000, 30000)
    bomb.write_bytes(gzip.compress(raw))
    with pytest.raises(CovidlitError, match="header claims"):
        read_image(bomb)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("made", [nib.Nifti1Image, nib.Nifti2Image])
def test_either_order_of_bytes_and_version(tmp_path: Path, order: str, made: type) -> None:
    header = made.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    image = made(HU, LAS, header)
    image.set_sform(LAS, 1)
    nib.save(image, tmp_path / "ct.nii")
    assert right(read_image(tmp_path / "ct.nii")) == 1
