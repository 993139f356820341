"""Every archive of shared/data against the column "expected" of its README."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from covidlit.cohort.scan_reader import load_scan
from covidlit.dicom import Checks, SeriesRefused, find_series, judge, read_series
from covidlit.scans.images import affine_of_image

Archive = Callable[[str], Path]
DEFAULT = Checks()
FEW = Checks(override=frozenset({"too_few_slices"}))
NO_HU = Checks(override=frozenset({"too_few_slices", "not_hu"}))
CHEST = "dicom_cases/transfer_syntax_chest_slice.tar.xz"
ENHANCED = "dicom_cases/enhanced_multiframe_ct.tar.xz"


def checks_of(path: Path, checks: Checks = DEFAULT) -> list[list[str]]:
    """The names of the failed checks of each series under a path."""
    verdicts = [judge(series, checks) for series in find_series(path).series]
    return [[finding.check for finding in verdict.findings] for verdict in verdicts]


@pytest.mark.parametrize(
    ("name", "folder", "first", "word"),
    [
        ("duplicate_positions", "", {"missing_slice", "non_uniform_spacing"}, "mm between"),
        ("dicom2nifti_failing", "gantrytilting", {"gantry_tilt"}, "14.0 degrees"),
        ("dicom2nifti_failing", "notavolume", {"duplicate_position"}, "001.dcm"),
        ("dicom2nifti_failing", "slicecount", {"not_ct"}, "MR"),
        ("dicom2nifti_failing", "sliceincrement/001", {"missing_slice"}, "0009-0001.dcm"),
        ("dicom2nifti_failing", "sliceincrement/002", {"gantry_tilt"}, "missing_slice"),
        ("dicom2nifti_failing", "sliceorientation", {"not_ct"}, "mixed_"),
        ("gantry_tilt_variable_spacing_ge", "", {"gantry_tilt"}, "non_uniform_spacing"),
        ("dcmqi_ct3slice", "", {"too_few_slices"}, "3 slices"),
        ("chest_scout_jpegll", "", {"localizer"}, "localizer"),
    ],
)
def test_a_series_that_must_be_refused_names_the_check(
    archive: Archive, name: str, folder: str, first: set[str], word: str
) -> None:
    root = archive(f"dicom_cases/{name}.tar.xz")
    found = find_series(root)
    (series,) = [one for one in found.series if folder in str(one.folder)]
    verdict = judge(series)
    assert not verdict.accepted
    assert verdict.findings[0].check in first
    assert word in verdict.reason
    with pytest.raises(SeriesRefused) as refusal:
        read_series(series)
    assert refusal.value.verdict.reason == verdict.reason


def test_an_identical_duplicate_is_dropped_with_a_note(archive: Archive) -> None:
    (series,) = find_series(archive("dicom_cases/duplicate_positions.tar.xz")).series
    (note,) = judge(series).notes
    assert "identical duplicate" in note
    assert "CT28.dcm" in note


SYNTAXES = {
    "CTImage.dcm": 0,
    "1.2.840.10008.1.2.dcm": 0,
    "1.2.840.10008.1.2.1.dcm": 0,
    "1.2.840.10008.1.2.1.99.dcm": 0,
    "1.2.840.10008.1.2.2.dcm": 0,
    "1.2.840.10008.1.2.5.dcm": 0,
    "1.2.840.10008.1.2.4.57.dcm": 0,
    "1.2.840.10008.1.2.4.70.dcm": 0,
    "1.2.840.10008.1.2.4.80.dcm": 0,
    "1.2.840.10008.1.2.4.90.dcm": 0,
    "1.2.840.10008.1.2.4.81.dcm": 1,  # near-lossless
    "1.2.840.10008.1.2.4.91.dcm": 6,
    "1.2.840.10008.1.2.4.51.dcm": 40,  # 12 bits
    "1.2.840.10008.1.2.4.50.dcm": 80,  # 8 bits, in steps of 32 HU
}


@pytest.mark.parametrize(("ending", "loss"), SYNTAXES.items())
def test_a_chest_slice_in_each_transfer_syntax(archive: Archive, ending: str, loss: int) -> None:
    folder = archive(CHEST) / "transfer_syntax_chest_slice"
    # "CTImage.dcm_<Name>_<UID>.dcm": the underscore keeps .1.2.dcm from matching ...10008.1.2.1.2
    (path,) = folder.glob(ending if ending == "CTImage.dcm" else f"*_{ending}")
    assert checks_of(path) == [["too_few_slices"]]
    hu = read_series(path, FEW).hu[0].astype(int)
    plain = pydicom.dcmread(folder / "CTImage.dcm")
    reference = plain.pixel_array.astype(int) * int(plain.RescaleSlope) + int(
        plain.RescaleIntercept
    )
    reference = np.maximum(reference, -1024)
    assert np.abs(hu - reference).max() <= loss
    assert np.abs(hu - reference).mean() <= 0.6 * loss


@pytest.mark.parametrize("number", ["53", "55"])
def test_a_retired_transfer_syntax_is_undecodable(archive: Archive, number: str) -> None:
    (path,) = archive(CHEST).rglob(f"*.4.{number}.dcm")
    with pytest.raises(SeriesRefused, match="undecodable") as refusal:
        read_series(path, FEW)
    assert refusal.value.verdict.findings[0].check == "unreadable_file"


MULTIFRAME = {
    "eCT_Supplemental.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.explicit_little_endian.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.fragmented_no_bot_jpeg_lossless.57.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.fragmented_no_bot_jpeg_lossless.70.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.fragmented_no_bot_jpeg_ls.80.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.fragmented_no_bot_jpeg_ls.81.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.not_fragmented_bot_jpeg_ls.80.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.not_fragmented_no_bot_jpeg_ls.80.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.not_fragmented_bot_rle.dcm": (2, 512, 512),
    "dicomParser_multi-frame/CT0012.not_fragmented_no_bot_rle.dcm": (2, 512, 512),
    "dcmqi_24x38x3/multiframe/mf.dcm": (3, 38, 24),
}


@pytest.mark.parametrize(("name", "shape"), MULTIFRAME.items())
def test_an_enhanced_ct_is_read_as_multi_frame(
    archive: Archive, name: str, shape: tuple[int, ...]
) -> None:
    folder = archive(ENHANCED) / "enhanced_multiframe_ct"
    # Cerebral blood flow, and a mask of 0 and 1: geometry as in any CT, but no Hounsfield units.
    assert checks_of(folder / name) == [["not_hu", "too_few_slices"]]
    unit = "ml/100ml/s" if shape[0] == 2 else "RescaleIntercept 0"
    with pytest.raises(SeriesRefused, match=unit):
        read_series(folder / name, FEW)
    scan = read_series(folder / name, NO_HU)
    assert scan.hu.shape == shape
    if shape[0] == 2:  # its rows run to the right, so the columns are flipped
        assert scan.spacing == pytest.approx((10.0, 0.388672, 0.388672))
        assert scan.affine[:3, 3] == pytest.approx([99.5 - 511 * 0.388672, -301.5, -159.0])
        plain = pydicom.dcmread(folder / "eCT_Supplemental.dcm").pixel_array.astype(int)
        lossy = 3 if ".81." in name else 0
        frames = pydicom.dcmread(folder / name).PerFrameFunctionalGroupsSequence
        z = [float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in frames]
        expected = plain[np.argsort(z)][:, :, ::-1] - 1024
        assert np.abs(scan.hu - expected).max() <= lossy


def test_a_legacy_converted_ct_equals_its_slices(archive: Archive) -> None:
    folder = archive(ENHANCED) / "enhanced_multiframe_ct" / "dcmqi_24x38x3"
    slices, frames = (read_series(folder / name, NO_HU) for name in ("image", "multiframe"))
    assert np.array_equal(slices.hu, frames.hu)
    assert slices.affine == pytest.approx(frames.affine)


@pytest.mark.parametrize("name", ["jpeg_baseline.50", "implicit_little_endian"])
def test_multi_frame_ultrasound_is_refused(archive: Archive, name: str) -> None:
    (path,) = archive(ENHANCED).rglob(f"IM00001.*{name}.dcm")
    assert checks_of(path, FEW)[0][0] == "not_ct"


def test_three_slices_at_the_lung_base_are_read_when_overridden(archive: Archive) -> None:
    folder = archive("dicom_cases/dcmqi_ct3slice.tar.xz")
    scan = read_series(folder, FEW)
    assert scan.hu.shape == (3, 512, 512)
    assert scan.spacing[0] == pytest.approx(1.0)
    padded = pydicom.dcmread(next(folder.rglob("01.dcm"))).pixel_array == -2000
    assert padded.any()
    assert (scan.hu[2][padded] == -1024).all()
    assert scan.hu.min() == -1024


def test_broken_dicomdirs_do_not_stop_the_search(archive: Archive) -> None:
    root = archive("dicom_cases/pydicom_test_files.tar.xz")
    found = find_series(root)
    kinds = {one.folder.name: [f.check for f in judge(one).findings] for one in found.series}
    assert kinds["CT5N"] == ["too_few_slices"]
    assert kinds["CT2N"][0] == "localizer"
    assert kinds["CT2"][0] == "missing_slice"
    assert kinds["SE000000"] == ["unreadable_file"]  # no pixel data at all
    assert not any("DICOMDIR" in path.name for one in found.series for path in one.files)


def test_the_real_chest_series_equals_simpleitk(archive: Archive) -> None:
    folder = archive("ct/partial_chest_real.tar.xz") / "partial_chest_real"
    assert checks_of(folder) == [[]]
    scan = read_series(folder)
    assert scan.hu.shape == (49, 512, 512)
    assert scan.spacing[0] == pytest.approx(2.0)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    assert np.array_equal(scan.hu, np.maximum(sitk.GetArrayFromImage(image), -1024))
    assert scan.affine == pytest.approx(affine_of_image(image), abs=1e-6)


def test_the_real_chest_nifti_is_read(shared_data: Path) -> None:
    scan = load_scan(shared_data / "ct" / "lidc_0314_nonCOVID_2mm.nii.gz")
    assert scan.hu.shape == (138, 200, 200)
    assert scan.spacing == pytest.approx((2.0, 2.0, 2.0))
