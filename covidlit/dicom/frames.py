"""Frames: the geometry and rescale of each slice, classic or from functional groups."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from math import isfinite
from typing import Any

from pydicom import Dataset, dcmread

from covidlit.dicom.parse import inflated_header
from covidlit.dicom.series import Frame, ImageFile
from covidlit.dicom.transfer_syntax import DEFLATED
from covidlit.errors import DicomError

MAX_POSITION_MM = 1e5
MIN_PIXEL_SPACING_MM = 0.05
MAX_PIXEL_SPACING_MM = 100.0
MAX_FRAMES = 20_000
_UNIT_TOLERANCE = 1e-2
_REAL_WORLD_VALUES = "RealWorldValueMappingSequence"
_HU_CODES = ("[hnsf'u]", "hu")  # UCUM, and what is written instead


def make_frame(
    image: ImageFile,
    *,
    index: int,
    position: tuple[float, ...] | None,
    orientation: tuple[float, ...] | None,
    pixel_spacing: tuple[float, ...] | None,
    slope: float | None,
    intercept: float | None,
    thickness: float | None,
    instance: int | None,
    kernel: str,
    rescale_type: str = "",
    other_unit: str = "",
    invalid: Iterable[str] = (),
) -> Frame:
    """A Frame whose `missing` says why its geometry cannot be used, if it cannot."""
    missing = []
    for value, name in (
        (position, "ImagePositionPatient"),
        (orientation, "ImageOrientationPatient"),
        (pixel_spacing, "PixelSpacing"),
    ):
        if value is None:
            missing.append(f"{'unreadable' if name in invalid else 'no'} {name}")
    if position is not None and max(map(abs, position)) > MAX_POSITION_MM:
        missing.append(f"ImagePositionPatient {list(position)} is outside any scanner")
    if orientation is not None and not _is_orthonormal(orientation):
        missing.append(
            f"ImageOrientationPatient {list(orientation)} is not two perpendicular unit vectors"
        )
    if pixel_spacing is not None and not all(
        MIN_PIXEL_SPACING_MM <= spacing <= MAX_PIXEL_SPACING_MM for spacing in pixel_spacing
    ):
        missing.append(f"PixelSpacing {list(pixel_spacing)} mm is impossible")
    return Frame(
        image,
        index,
        position,
        orientation,
        pixel_spacing,
        slope,
        intercept,
        thickness,
        instance,
        kernel,
        "; ".join(missing),
        rescale_type,
        other_unit,
    )


def _is_orthonormal(orientation: tuple[float, ...]) -> bool:
    row, column = orientation[:3], orientation[3:]
    lengths = (sum(x * x for x in row), sum(x * x for x in column))
    dot = sum(x * y for x, y in zip(row, column, strict=True))
    return all(abs(length - 1) < _UNIT_TOLERANCE for length in (*lengths, 1 + dot))


def enhanced_frames(image: ImageFile, classic: Frame) -> list[Frame]:
    """The frames of a multi-frame file, from its shared and per-frame functional groups.

    Args:
        image: the file's header.
        classic: the top-level attributes read as for a single slice; they fill in what the groups
            lack, except for the position, which cannot be the same in every frame.

    Raises:
        DicomError: the number of frames is impossible.
        Exception: pydicom may raise nearly anything on a damaged file; `find_series` guards.

    Source: DICOM PS3.3, sections C.7.6.16 and C.8.15.3.
    """
    if image.n_frames > MAX_FRAMES:
        raise DicomError(f"damaged: NumberOfFrames is {image.n_frames}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = inflated_header(image.path) if image.transfer_syntax == DEFLATED else None
        dataset = dcmread(source or image.path, stop_before_pixels=True, force=True)
        shared = _first(dataset, "SharedFunctionalGroupsSequence")
        groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
        _fill_facts(image, shared, groups[0] if groups else None)
        padded: list[Dataset | None] = [*groups[: image.n_frames]]
        padded += [None] * (image.n_frames - len(padded))
        frames = [
            replace(
                _frame(image, index, classic, group, shared),
                acquisition=_acquisition(group, shared),
            )
            for index, group in enumerate(padded)
        ]
    if image.n_frames == 1 and not groups:
        return [replace(classic, index=0)]
    return frames


def _frame(
    image: ImageFile, index: int, classic: Frame, own: Dataset | None, shared: Dataset | None
) -> Frame:
    def numbers(sequence: str, keyword: str, count: int) -> tuple[float, ...] | None:
        return _floats(_look_up(sequence, keyword, own, shared), count)

    def number(sequence: str, keyword: str) -> float | None:
        found = numbers(sequence, keyword, 1)
        return None if found is None else found[0]

    rescale = "PixelValueTransformationSequence"
    slope, intercept = number(rescale, "RescaleSlope"), number(rescale, "RescaleIntercept")
    slope = classic.slope if slope is None else slope
    intercept = classic.intercept if intercept is None else intercept
    rescale_type = _look_up(rescale, "RescaleType", own, shared)
    thickness = number("PixelMeasuresSequence", "SliceThickness")
    kernel = _look_up("CTReconstructionSequence", "ConvolutionKernel", own, shared)
    orientation = numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    single = image.n_frames == 1
    return make_frame(
        image,
        index=index,
        position=numbers("PlanePositionSequence", "ImagePositionPatient", 3)
        or (classic.position if single else None),
        orientation=orientation or classic.orientation,
        pixel_spacing=spacing or classic.pixel_spacing,
        slope=slope,
        intercept=intercept,
        thickness=classic.thickness if thickness is None else thickness,
        instance=index + 1,
        kernel=classic.kernel if kernel is None else _text(kernel),
        rescale_type=classic.rescale_type if rescale_type is None else _text(rescale_type),
        other_unit=other_unit_of(slope, intercept, own, shared) or classic.other_unit,
    )


def _acquisition(own: Dataset | None, shared: Dataset | None) -> tuple[tuple[str, str], ...]:
    """What tells the acquisition of a frame from that of others."""
    found = []
    for name, sequence, keyword in (
        ("temporal_position", "FrameContentSequence", "TemporalPositionIndex"),
        ("phase", "CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
        ("acquisition_number", "FrameContentSequence", "FrameAcquisitionNumber"),
        ("acquisition_datetime", "FrameContentSequence", "FrameAcquisitionDateTime"),
        ("kvp", "CTXRayDetailsSequence", "KVP"),
    ):
        value = _look_up(sequence, keyword, own, shared)
        if value is not None:
            found.append((name, _text(value)))
    return tuple(found)


def with_real_world_unit(frame: Frame) -> Frame:
    """The slice of a classic file with what its real world value mapping says of the unit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(frame.source.path, force=True, specific_tags=[_REAL_WORLD_VALUES])
        return replace(frame, other_unit=other_unit_of(frame.slope, frame.intercept, dataset))


def other_unit_of(slope: float | None, intercept: float | None, *groups: Dataset | None) -> str:
    """What the real world value mapping says against Hounsfield units; empty where nothing.

    Args:
        slope, intercept: of the rescale beside it; None where there is none.
        groups: that may hold the sequence.

    Source: DICOM PS3.3, section C.7.6.16.2.11.
    """
    items = [item for group in groups if group for item in group.get(_REAL_WORLD_VALUES) or []]
    units = [_unit(item) for item in items]
    if not items:
        return ""
    if not any(unit.lower() in _HU_CODES for unit in units):
        return f"{_REAL_WORLD_VALUES} in {units[0] or 'no unit'}"
    for item, unit in zip(items, units, strict=True):
        mapped = [item.get(name) for name in ("RealWorldValueSlope", "RealWorldValueIntercept")]
        if unit.lower() in _HU_CODES and None not in mapped:
            own = [1.0 if slope is None else slope, intercept or 0.0]
            if any(abs(float(a) - b) > 1e-6 for a, b in zip(mapped, own, strict=True)):
                return (
                    f"{_REAL_WORLD_VALUES} with RealWorldValueSlope {mapped[0]:g} and "
                    f"RealWorldValueIntercept {mapped[1]:g}, RescaleSlope and RescaleIntercept "
                    f"with {own[0]:g} and {own[1]:g}"
                )
    return ""


def _unit(item: Dataset) -> str:
    code = _first(item, "MeasurementUnitsCodeSequence")
    return "" if code is None else _text(code.get("CodeValue", ""))


def _fill_facts(image: ImageFile, shared: Dataset | None, first: Dataset | None) -> None:
    """Scanner facts that an enhanced CT keeps in functional groups instead of at the top."""
    for name, sequence, keyword in (
        ("kvp", "CTXRayDetailsSequence", "KVP"),
        ("exposure_mas", "CTExposureSequence", "ExposureInmAs"),
        ("exposure_time_ms", "CTExposureSequence", "ExposureTimeInms"),
        ("tube_current_ma", "CTExposureSequence", "XRayTubeCurrentInmA"),
        ("acquisition_datetime", "FrameContentSequence", "FrameAcquisitionDateTime"),
    ):
        value = _look_up(sequence, keyword, first, shared)
        if value is not None and not image.facts.get(name):
            image.facts[name] = _text(value)


def _look_up(sequence: str, keyword: str, *groups: Dataset | None) -> Any:
    for group in groups:
        item = None if group is None else _first(group, sequence)
        value = None if item is None else item.get(keyword)
        if value is not None:
            return value
    return None


def _first(dataset: Dataset, sequence: str) -> Dataset | None:
    items = dataset.get(sequence)
    return items[0] if items else None


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    found = tuple(float(one) for one in values)
    return found if len(found) == count and all(map(isfinite, found)) else None


def _text(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "\\".join(str(one) for one in value)
    return str(value)
