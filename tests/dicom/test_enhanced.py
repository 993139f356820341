"""Enhanced multi-frame CT written with pydicom: shared and per-frame functional groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from covidlit.dicom import Checks, SeriesRefused, find_series, judge, read_series
from covidlit.dicom.facts import metadata_of

ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


def item(**values: object) -> Sequence:
    """A sequence of one item."""
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return Sequence([dataset])


@pytest.fixture
def enhanced(one_slice: Callable[..., Dataset]) -> Dataset:
    """14 frames in shuffled order; frame of slice k: HU = (1 + k % 2) * value - 1000 - k."""
    ds = one_slice(0)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ENHANCED
    for name in (
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
        "RescaleSlope", "RescaleIntercept", "ConvolutionKernel", "KVP", "Exposure",
    ):  # fmt: skip
        delattr(ds, name)
    shared = Dataset()
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared.PixelMeasuresSequence = item(PixelSpacing=[0.8, 0.7], SliceThickness=3)
    shared.CTReconstructionSequence = item(ConvolutionKernel="B31f")
    shared.CTXRayDetailsSequence = item(KVP=100)
    shared.CTExposureSequence = item(ExposureInmAs=77)
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    order = np.random.default_rng(0).permutation(14)
    frames = []
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=[-20, -30, 100 + 2.5 * int(k)])
        frame.PixelValueTransformationSequence = item(
            RescaleSlope=1 + int(k) % 2, RescaleIntercept=-1000 - int(k)
        )
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.NumberOfFrames = 14
    values = np.arange(120).reshape(12, 10) + 20 * order[:, None, None]
    ds.PixelData = values.astype(np.int16).tobytes()
    return ds


def test_frames_are_ordered_and_rescaled_each_for_itself(
    enhanced: Dataset, save_as: Callable[..., Path], tmp_path: Path
) -> None:
    scan = read_series(save_as(enhanced, tmp_path / "one" / "file"))
    k = np.arange(14)[:, None, None]
    expected = (np.arange(120).reshape(12, 10) + 20 * k) * (1 + k % 2) - 1000 - k
    assert np.array_equal(scan.hu, np.maximum(expected, -1024))
    assert scan.spacing == pytest.approx((2.5, 0.8, 0.7))
    assert scan.affine[:3, 3] == pytest.approx([-20, -30, 100])


def test_facts_come_from_the_functional_groups(
    enhanced: Dataset, save_as: Callable[..., Path], tmp_path: Path
) -> None:
    (series,) = find_series(save_as(enhanced, tmp_path / "file")).series
    facts = metadata_of(series)
    assert (facts["kernel"], facts["kvp"], facts["exposure_mas"]) == ("B31f", 100.0, 77.0)
    assert (facts["n_slices"], facts["slice_thickness_mm"]) == (14, 3.0)


def test_compressed_frames(enhanced: Dataset, save_as: Callable[..., Path], tmp_path: Path) -> None:
    plain = read_series(save_as(enhanced, tmp_path / "plain" / "file"))
    enhanced.compress("1.2.840.10008.1.2.5")
    assert np.array_equal(read_series(save_as(enhanced, tmp_path / "rle" / "file")).hu, plain.hu)


def _without_positions(ds: Dataset) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence


def _without_groups(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence, ds.SharedFunctionalGroupsSequence


def _too_many_frames(ds: Dataset) -> None:
    ds.NumberOfFrames = 20


def _one_position(ds: Dataset) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        (_without_positions, "missing_geometry"),
        (_without_groups, "missing_geometry"),
        (_too_many_frames, "unreadable_file"),
        (_one_position, "duplicate_position"),
    ],
)
def test_odd_geometry_is_refused_with_a_reason(
    enhanced: Dataset,
    save_as: Callable[..., Path],
    tmp_path: Path,
    edit: Callable[[Dataset], None],
    check: str,
) -> None:
    edit(enhanced)
    (series,) = find_series(save_as(enhanced, tmp_path / "file")).series
    assert judge(series, Checks(min_slices=1)).findings[0].check == check


def test_an_impossible_number_of_frames_is_a_problem(
    enhanced: Dataset, save_as: Callable[..., Path], tmp_path: Path
) -> None:
    enhanced.NumberOfFrames = 999_999_999
    (problem,) = find_series(save_as(enhanced, tmp_path / "file")).problems
    assert "NumberOfFrames" in problem.reason


def _units(ds: Dataset, unit: str, slope: float = 1, intercept: float = -1000) -> None:
    """One rescale for all frames, and a real world value mapping in this unit."""
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.PixelValueTransformationSequence
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.PixelValueTransformationSequence = item(
        RescaleSlope=1, RescaleIntercept=-1000, RescaleType="US"
    )
    shared.RealWorldValueMappingSequence = item(
        MeasurementUnitsCodeSequence=item(CodeValue=unit, CodingSchemeDesignator="UCUM"),
        RealWorldValueSlope=float(slope),
        RealWorldValueIntercept=float(intercept),
    )


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda ds: _units(ds, "mg/mL"), "in mg/mL"),
        (lambda ds: _units(ds, "[hnsf'U]", intercept=-24), "RealWorldValueIntercept -24"),
        (
            lambda ds: setattr(
                ds.PerFrameFunctionalGroupsSequence[3].PixelValueTransformationSequence[0],
                "RescaleType",
                "Z_EFF",
            ),
            "1 of 14 .*RescaleType is Z_EFF",
        ),
    ],
)
def test_another_unit_in_the_functional_groups_is_refused(
    enhanced: Dataset,
    save_as: Callable[..., Path],
    tmp_path: Path,
    edit: Callable[[Dataset], None],
    words: str,
) -> None:
    edit(enhanced)
    with pytest.raises(SeriesRefused, match=words) as refusal:
        read_series(save_as(enhanced, tmp_path / "file"))
    assert refusal.value.verdict.findings[0].check == "not_hu"


def test_a_mapping_in_hounsfield_units_is_read(
    enhanced: Dataset, save_as: Callable[..., Path], tmp_path: Path
) -> None:
    _units(enhanced, "[hnsf'U]")
    hu = read_series(save_as(enhanced, tmp_path / "file")).hu
    expected = np.arange(120).reshape(12, 10) + 20 * np.arange(14)[:, None, None] - 1000
    assert np.array_equal(hu, expected)


def test_a_classic_slice_with_another_unit_is_refused(
    write_ct: Callable[..., Path],
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        code = item(CodeValue="mg/mL", CodingSchemeDesignator="UCUM")
        ds.RealWorldValueMappingSequence = item(MeasurementUnitsCodeSequence=code)

    with pytest.raises(SeriesRefused, match="RealWorldValueMappingSequence in mg/mL"):
        read_series(write_ct(edit=edit))


def test_more_frames_than_the_header_says(
    enhanced: Dataset, save_as: Callable[..., Path], tmp_path: Path
) -> None:
    enhanced.NumberOfFrames = 13
    del enhanced.PerFrameFunctionalGroupsSequence[-1]
    (series,) = find_series(save_as(enhanced, tmp_path / "file")).series
    finding = judge(series, Checks(min_slices=1)).findings[0]
    assert finding.check == "pixel_data_length"
    assert "NumberOfFrames 13" in finding.message


@pytest.mark.parametrize(
    ("sequence", "keyword", "values", "words"),
    [
        ("FrameContentSequence", "FrameAcquisitionNumber", (1, 2), "AcquisitionNumber 2"),
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2), "TemporalPositionIdentifier 2"),
        ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", (40.0, 75.0),
         "cardiac phase 75"),
    ],
)  # fmt: skip
def test_frames_of_two_acquisitions_are_told_apart(
    enhanced: Dataset,
    save_as: Callable[..., Path],
    tmp_path: Path,
    sequence: str,
    keyword: str,
    values: tuple[float, float],
    words: str,
) -> None:
    frames = enhanced.PerFrameFunctionalGroupsSequence
    for number, frame in enumerate(frames):
        place = frame.PlanePositionSequence[0]
        second = number % 2
        place.ImagePositionPatient = [-20, -30, 100 + 2.5 * (number // 2)]
        setattr(frame, sequence, item(**{keyword: values[second]}))
        frame.PixelValueTransformationSequence = item(
            RescaleSlope=1, RescaleIntercept=-1000 + 5000 * second
        )
    (series,) = find_series(save_as(enhanced, tmp_path / "ct" / "enhanced").parent).series
    checks = {"several_acquisitions", "too_few_slices"}
    reason = judge(series).reason
    assert "several_acquisitions: 2 acquisitions" in reason
    assert words in reason
    for number, least in ((1, -1000), (2, 4000)):
        chosen = checks - {"several_acquisitions"} | {f"several_acquisitions:{number}"}
        scan = read_series(series, Checks(override=frozenset(chosen)))
        assert len(scan.hu) == 7
        assert least <= scan.hu.min() < least + 500
