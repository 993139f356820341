"""Each check: refused by default, saying what and where; read when overridden, with a note."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from covidlit.dicom import CHECKS, Checks, SeriesRefused, find_series, judge, read_series
from covidlit.errors import DicomError
from covidlit.scans.content import CONTENT_CHECKS

Write = Callable[..., Path]
TILT = np.radians(15.0)


def _other_orientation(ds: Dataset, k: int) -> None:
    if k == 3:
        ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def _tilted(ds: Dataset, k: int) -> None:
    ds.ImageOrientationPatient = [1, 0, 0, 0, np.cos(TILT), -np.sin(TILT)]


def _sagittal(ds: Dataset, k: int) -> None:
    ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    ds.ImagePositionPatient = [2.5 * k, -30, 100]


def _set(**values: object) -> Callable[[Dataset, int], None]:
    """An edit that sets elements of slice 3 alone."""

    def edit(ds: Dataset, k: int) -> None:
        for name, value in values.items():
            if k == 3:
                setattr(ds, name, value)

    return edit


def _set_all(**values: object) -> Callable[[Dataset, int], None]:
    def edit(ds: Dataset, k: int) -> None:
        for name, value in values.items():
            setattr(ds, name, value)

    return edit


def _delete(name: str) -> Callable[[Dataset, int], None]:
    def edit(ds: Dataset, k: int) -> None:
        if k == 3:
            delattr(ds, name)

    return edit


def _bigger(ds: Dataset, k: int) -> None:
    if k == 3:
        ds.Rows, ds.Columns = 10, 12


def _short_pixels(ds: Dataset, k: int) -> None:
    if k == 3:
        ds.PixelData = ds.PixelData[:100]


def _longer_pixels(ds: Dataset, k: int) -> None:
    if k == 3:
        ds.PixelData += bytes(20)


def _padded_tissue(ds: Dataset, k: int) -> None:
    image = np.full((12, 10), 500, np.int16)
    image[4:8, 4:8] = 1040  # 40 HU
    ds.PixelData = image.tobytes()
    ds.add_new(0x00280120, "SS", 1040)


def _moved(z: float = 0.0, x: float = 0.0) -> Callable[[Dataset, int], None]:
    def edit(ds: Dataset, k: int) -> None:
        if k == 3:
            place = ds.ImagePositionPatient
            ds.ImagePositionPatient = [place[0] + x, place[1], place[2] + z]

    return edit


# check, edit, words of the message, slices of 14 that are read when it is overridden (None: it
# cannot be), other checks that the same defect fails
CASES = [
    ("not_ct", _set_all(Modality="MR"), ["MR"], 14, set()),
    ("not_ct", _set(Modality="PT"), ["1 of 14", "PT", "a011"], 14, set()),
    ("not_ct", _set_all(SOPClassUID=SecondaryCaptureImageStorage), ["SOP class"], 14, set()),
    ("localizer", _set_all(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), ["all 14"], 14, set()),
    ("localizer", _set(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), ["a011"], 14,
     {"missing_slice"}),
    ("projection", _set_all(ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"]), ["all 14"], 14,
     set()),
    ("projection", _set(ImageType=["DERIVED", "PRIMARY", "AXIAL", "CT_SOM5 MIP THIN"]),
     ["1 of 14", "a011"], 14, {"missing_slice"}),
    ("not_chest", _set_all(BodyPartExamined="HEAD"), ["BodyPartExamined", "HEAD"], 14, set()),
    ("not_chest", _set_all(BodyPartExamined="L SPINE"), ["L SPINE"], 14, set()),
    ("unreadable_file", _short_pixels, ["a011", "100 of 240 bytes", "Rows 12"], 14,
     {"missing_slice"}),
    ("unreadable_file", _delete("PixelData"), ["a011", "no pixel data"], 14, {"missing_slice"}),
    ("unreadable_file", _set(SamplesPerPixel=3), ["a011", "colour"], 14, {"missing_slice"}),
    ("unreadable_file", _set(BitsStored=12), ["a011", "HighBit is 15", "correct HighBit"], 14,
     {"missing_slice"}),
    ("not_hu", _set_all(RescaleType="Z_EFF"), ["all 14", "Z_EFF"], 14, set()),
    ("not_hu", _set(RescaleType="MGML"), ["1 of 14", "MGML", "a011"], 14, set()),
    ("pixel_data_length", _longer_pixels, ["a011", "260 bytes", "240"], 14, set()),
    ("inconsistent_rescale", _set(RescaleIntercept=-800), ["a011", "-800", "-1000"], 14, set()),
    ("padding_in_tissue", _padded_tissue, ["1040", "40 HU", "voxels inside"], 14, set()),
    ("unreadable_file", _delete("RescaleIntercept"), ["a011", "Rescale"], 14, {"missing_slice"}),
    ("unreadable_file", _set(RescaleSlope=0), ["a011", "RescaleSlope"], 14, {"missing_slice"}),
    ("missing_geometry", _delete("ImagePositionPatient"), ["a011", "no ImagePosition"], 14,
     {"missing_slice"}),
    ("missing_geometry", _delete("PixelSpacing"), ["a011", "no PixelSpacing"], 14,
     {"missing_slice"}),
    ("missing_geometry", _set_all(PixelSpacing=[1e-4, 1e-4]), ["0.0001", "impossible"], None,
     set()),
    ("missing_geometry", _set(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), ["perpendicular"], 14,
     {"missing_slice"}),
    ("mixed_patient", _set(PatientID="OTHER"), ["2 different patient", "a011"], 14, set()),
    ("mixed_size", _bigger, ["a011", "10x12", "12x10"], 14, {"missing_slice"}),
    ("mixed_size", _set(PixelSpacing=[0.8, 0.9]), ["a011", "0.8x0.9 mm"], 14, {"missing_slice"}),
    ("mixed_size", _set(PixelRepresentation=0), ["a011", "unsigned"], 14, {"missing_slice"}),
    ("mixed_orientation", _other_orientation, ["a011", "another direction"], 14,
     {"missing_slice"}),
    ("mixed_frame_of_reference", _set(FrameOfReferenceUID="1.2.3"), ["a011"], 14, set()),
    ("mixed_kernel", _set(ConvolutionKernel="B70f"), ["a011", "B70f", "B31f"], 14, set()),
    ("not_axial", _sagittal, ["90 degrees"], 12, set()),
    ("gantry_tilt", _tilted, ["15.0 degrees"], 14, set()),
    ("gantry_tilt", _set_all(GantryDetectorTilt=12), ["says 12 degrees"], 14, set()),
    ("duplicate_position", _moved(z=2.5), ["a011", "a010"], 14, {"missing_slice"}),
    ("missing_slice", lambda ds, k: k != 3, ["1 slice missing", "5 mm between", "a012", "a010"],
     14, set()),
    ("non_uniform_spacing", _moved(z=0.7), ["3.2 mm", "a011"], 14, set()),
    ("non_uniform_spacing", _moved(x=3), ["sideways by up to 3.00 mm", "a011"], 14, set()),
    ("too_few_slices", lambda ds, k: k < 5, ["5 slices, fewer than 12"], 5, set()),
]  # fmt: skip


@pytest.mark.parametrize(("check", "edit", "words", "n_read", "also"), CASES)
def test_each_check(
    write_ct: Write,
    check: str,
    edit: Callable[[Dataset, int], object],
    words: list[str],
    n_read: int | None,
    also: set[str],
) -> None:
    (series,) = find_series(write_ct(edit=edit)).series
    verdict = judge(series)
    assert not verdict.accepted
    assert verdict.findings[0].check == check
    assert {finding.check for finding in verdict.findings} == {check} | also
    for word in words:
        assert word in verdict.findings[0].message
    with pytest.raises(SeriesRefused, match=check):
        read_series(series)
    if n_read is None:
        with pytest.raises(SeriesRefused, match=check):
            read_series(series, Checks(override=frozenset(CHECKS)))
        return
    scan = read_series(series, Checks(override=frozenset({check} | also)))
    assert len(scan.hu) == n_read
    assert any(note.startswith(f"{check} overridden") for note in scan.notes)


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ("SECONDARY AXIAL MIP", True),
        ("SECONDARY REFORMATTED MIN_IP", True),
        ("SECONDARY REFORMATTED MIN-IP", True),
        ("PRIMARY AXIAL MAX_IP", True),
        ("SECONDARY MINIP", True),
        ("SECONDARY PROJECTION-IMAGE", True),
        ("PRIMARY VOLUME MAXIMUM", True),
        ("SECONDARY SCREEN-SAVE", True),
        ("SECONDARY OTHER VRT", True),
        ("PRIMARY AXIAL", False),
        ("SECONDARY AXIAL", False),
        ("PRIMARY AXIAL CT_SOM5-MPR", False),
        ("SECONDARY REFORMATTED AVERAGE", False),
        ("PRIMARY VOLUME NONE", False),
    ],
)
def test_derived_slices_are_accepted_and_projections_are_not(
    write_ct: Write, values: str, refused: bool
) -> None:
    image_type = ["DERIVED", *(value.replace("-", " ") for value in values.split())]
    (series,) = find_series(write_ct(edit=_set_all(ImageType=image_type))).series
    assert [finding.check for finding in judge(series).findings] == ["projection"] * refused


def test_a_projection_by_its_calculation_technique(write_ct: Write) -> None:
    for technique, accepted in (("MIN_IP", False), ("MPR", True)):
        edit = _set_all(VolumeBasedCalculationTechnique=technique)
        (series,) = find_series(write_ct(edit=edit, folder=technique)).series
        assert judge(series).accepted is accepted


@pytest.mark.parametrize(
    "part",
    ["CHEST", "", "HEART", "ABDOMEN", "CHESTABDPELVIS", "HEADNECKCHEST", "TORAX", "SHOULDER"],
)
def test_a_part_that_may_show_lungs_is_left_to_the_check_that_looks_for_them(
    part: str, write_ct: Write
) -> None:
    (series,) = find_series(write_ct(edit=_set_all(BodyPartExamined=part))).series
    assert judge(series).accepted


def test_every_check_is_covered() -> None:
    # test_damage, test_identity, test_acquisitions, tests/scans
    elsewhere = {"stray_file", "damaged_series_uid", "several_acquisitions", "not_finite"}
    elsewhere |= set(CONTENT_CHECKS)
    assert {case[0] for case in CASES} | elsewhere == set(CHECKS)


def test_a_verdict_lists_all_failed_checks_in_order(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> object:
        if k == 2:
            ds.ConvolutionKernel = "B70f"
        if k == 5:
            ds.FrameOfReferenceUID = "1.2.3"
        return k not in (3, 7)

    (series,) = find_series(write_ct(n=10, edit=edit)).series
    checks = [finding.check for finding in judge(series).findings]
    assert checks == ["mixed_frame_of_reference", "mixed_kernel", "missing_slice", "too_few_slices"]
    assert "2 slices missing at 2 places" in judge(series).reason


def test_a_series_without_any_geometry_cannot_be_overridden(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        del ds.ImagePositionPatient

    (series,) = find_series(write_ct(edit=edit)).series
    with pytest.raises(SeriesRefused, match="missing_geometry"):
        read_series(series, Checks(override=frozenset(CHECKS)))


def test_a_far_away_slice_is_not_interpolated_to(write_ct: Write) -> None:
    (series,) = find_series(write_ct(edit=_moved(z=9e4))).series
    with pytest.raises(SeriesRefused, match=r"missing_slice|non_uniform_spacing"):
        read_series(series, Checks(override=frozenset(CHECKS)))


def test_a_missing_slice_is_interpolated_when_overridden(write_ct: Write) -> None:
    folder = write_ct(edit=lambda ds, k: k != 3)
    scan = read_series(folder, Checks(override=frozenset({"missing_slice"})))
    whole = read_series(write_ct(folder="whole"))
    assert np.array_equal(scan.hu, whole.hu)  # HU is linear in z there
    assert scan.affine == pytest.approx(whole.affine)


def test_tilt_is_undone_when_overridden(write_ct: Write, stored: Callable[..., None]) -> None:
    y = 0.8 * np.arange(60)[:, None] + np.zeros((1, 10))

    def edit(ds: Dataset, k: int) -> None:
        _tilted(ds, k)
        # HU = the height of the voxel in the patient (analytic), in tenths of a millimetre
        z = ds.ImagePositionPatient[2] - y * np.sin(TILT)
        stored(ds, np.rint(10 * z) + 1000)

    scan = read_series(write_ct(edit=edit), Checks(override=frozenset({"gantry_tilt"})))
    steps = scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)
    assert steps.T @ steps == pytest.approx(np.eye(3), abs=1e-6)  # no shear is left
    index = np.stack(np.meshgrid(*map(np.arange, scan.hu.shape), indexing="ij"), axis=-1)
    z = index @ scan.affine[2, :3] + scan.affine[2, 3]
    inside = scan.hu > -1024
    assert inside.mean() > 0.7
    assert np.abs(scan.hu[inside] - 10 * z[inside]).max() <= 2


def test_equal_duplicates_are_dropped(write_ct: Write) -> None:
    folder = write_ct()
    (folder / "copy").write_bytes((folder / "a003").read_bytes())
    scan = read_series(folder)
    assert len(scan.hu) == 14
    assert "identical duplicate" in scan.notes[0]


def test_jitter_within_the_tolerance_is_accepted(write_ct: Write) -> None:
    rng = np.random.default_rng(0)

    def edit(ds: Dataset, k: int) -> None:
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, round(float(z) + rng.normal(0, 0.003), 6)]

    scan = read_series(write_ct(n=40, edit=edit))
    assert scan.spacing[0] == pytest.approx(2.5, abs=1e-3)
    assert scan.affine[2, 3] == pytest.approx(100.0, abs=5e-3)


def test_tolerances_are_arguments(write_ct: Write) -> None:
    folder = write_ct(edit=_moved(z=0.2))
    assert not judge(find_series(folder).series[0]).accepted
    assert judge(find_series(folder).series[0], Checks(spacing_tolerance=0.1)).accepted


@pytest.mark.parametrize("arguments", [{"override": {"no_such"}}, {"min_slices": 0}])
def test_wrong_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(DicomError, match=r"no_such|min_slices"):
        Checks(**arguments)  # type: ignore[arg-type]


def test_a_refusal_survives_a_worker_process(write_ct: Write) -> None:
    with pytest.raises(SeriesRefused) as refusal:
        read_series(write_ct(n=3))
    copy = pickle.loads(pickle.dumps(refusal.value))
    assert copy.verdict == refusal.value.verdict
    assert str(copy) == str(refusal.value)
