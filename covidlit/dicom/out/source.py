"""The source series of a derived object: the headers of its slices, checked, and where they lie."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.valuerep import DA, TM

from covidlit.counted import counted
from covidlit.dicom.assess import assess
from covidlit.dicom.checks import Checks
from covidlit.dicom.parse import inflated_header
from covidlit.dicom.series import Frame, Series
from covidlit.dicom.transfer_syntax import DEFLATED
from covidlit.dicom.verdict import SeriesRefused
from covidlit.errors import DicomError, fault_reason

_UNKNOWN_ALLOWED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""What a derived object must carry and may leave empty (type 2), of patient and study."""

_SAME_IN_ALL = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
_NOT_NEEDED = ("IconImageSequence", "PixelData", "OverlayData")


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The slices that a derived object refers to, sorted along their normal.

    Args:
        headers: of the slices, without pixels; patient and study are the same in all.
        positions: (n, 3) float64, centre of each slice's first pixel, LPS mm.
        row, column: (3,) unit vectors in LPS: along a row, and down a column.
        pixel_spacing: mm, (between rows, between columns).
        step: (3,) mm, from a slice to the next along the normal, without a tilted gantry's shift.
        tilted: whether the slices are shifted against each other in their plane.
        folder: where the files lie.
    """

    headers: tuple[Dataset, ...] = field(repr=False)
    positions: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    pixel_spacing: tuple[float, float]
    step: NDArray[np.float64]
    tilted: bool
    folder: Path

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        first = self.headers[0]
        return len(self.headers), int(first.Rows), int(first.Columns)

    @property
    def directions(self) -> NDArray[np.float64]:
        """(3, 3); columns are the steps in mm of the index (slice, row, column)."""
        rows, columns = self.pixel_spacing
        return np.stack([self.step, self.column * rows, self.row * columns], axis=1)

    @property
    def instance_uids(self) -> list[str]:
        """The SOPInstanceUID of each slice."""
        return [str(header.SOPInstanceUID) for header in self.headers]


@contextmanager
def without_patient_data_in_logs() -> Iterator[None]:
    """Silence the warnings of pydicom and highdicom, which quote names and dates of patients."""
    loggers = [logging.getLogger(name) for name in ("highdicom", "highdicom.base", "pydicom")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def read_source(
    series: Series,
    checks: Checks = Checks(),  # noqa: B008 (frozen)
    *,
    absent_as_empty: bool = False,
) -> SourceSeries:
    """Read the headers that derived objects need, and hold them against what they must carry.

    Args:
        series: from `find_series`.
        checks: those that the scan was read with, so that the same slices are taken.
        absent_as_empty: take attributes of patient and study that are absent, such as
            PatientBirthDate, as unknown and write them empty, which DICOM allows.

    Raises:
        SeriesRefused: a check refuses the series.
        DicomError: multi-frame files, several frames of reference, patients, studies, a slice
            without a UID of its own, or an attribute that is absent or malformed. Messages name
            attributes and files, never values of the patient.
    """
    verdict, plan = assess(series, checks)
    if plan is None:
        raise SeriesRefused(verdict)
    frames = plan.frames
    _check_frames(frames, series.folder)
    with without_patient_data_in_logs():
        headers = tuple(_header(frame) for frame in frames)
        _check_headers(headers, frames, series.folder, absent_as_empty)
        _unify(headers)
    rows, columns = frames[0].pixel_spacing or (1.0, 1.0)
    stack = plan.stack
    return SourceSeries(
        headers,
        np.array([frame.position for frame in frames], dtype=np.float64),
        stack.row,
        stack.column,
        (rows, columns),
        stack.normal * plan.spacing.step,
        plan.deshear,
        series.folder,
    )


def _check_frames(frames: tuple[Frame, ...], folder: Path) -> None:
    multi = [frame for frame in frames if frame.source.n_frames > 1]
    if multi:
        raise DicomError(
            f"{counted(len({frame.source for frame in multi}), 'multi-frame file')}: segmentations "
            "and reports are written for series with one slice per file.",
            where=folder,
            fix="export the series as classic CT images; labels and tables are written either way.",
        )
    places = Counter(frame.source.frame_of_reference for frame in frames)
    if len(places) > 1 or "" in places:
        what = (
            f"the slices carry {len(places)} different FrameOfReferenceUIDs"
            if len(places) > 1
            else "the slices have no FrameOfReferenceUID"
        )
        raise DicomError(
            f"{what}: a derived object can lie in one only.",
            where=folder,
            fix="export the series again with one FrameOfReferenceUID; de-identification must "
            "replace it by the same UID in every file of a series.",
        )
    uids = Counter(frame.source.sop_uid for frame in frames)
    if "" in uids or max(uids.values()) > 1:
        n_bad = sum(n for uid, n in uids.items() if not uid or n > 1)
        raise DicomError(
            f"{counted(n_bad, 'slice has', 'slices have')} no SOPInstanceUID of "
            f"{'its' if n_bad == 1 else 'their'} own: a derived object could not name its source.",
            where=folder,
            fix="export the series again with a SOPInstanceUID per slice.",
        )


def _header(frame: Frame) -> Dataset:
    image = frame.source
    source = inflated_header(image.path) if image.transfer_syntax == DEFLATED else None
    try:
        header = dcmread(source or image.path, stop_before_pixels=True, force=True)
        for name in _NOT_NEEDED:
            if name in header:
                delattr(header, name)
        return header
    except Exception as error:
        raise DicomError(fault_reason(error, "reading its header"), where=image.path) from error


def _check_headers(
    headers: tuple[Dataset, ...],
    frames: tuple[Frame, ...],
    folder: Path,
    absent_as_empty: bool,
) -> None:
    for keyword in _SAME_IN_ALL:
        values = {str(header.get(keyword, "")).strip() for header in headers}
        if len(values) > 1:
            raise DicomError(
                f"{keyword} differs between the slices ({len(values)} values).",
                where=folder,
                fix="separate the files: a derived object belongs to one patient, study, series.",
            )
        if keyword != "PatientID" and values == {""}:
            raise DicomError(f"the slices have no {keyword}.", where=folder, fix=_EXPORT)
    absent = [name for name in _UNKNOWN_ALLOWED if name not in headers[0]]
    if absent and not absent_as_empty:
        raise DicomError(
            f"the slices lack {', '.join(absent)}, which a derived object must carry.",
            where=folder,
            fix="export the series with them (they may be empty), or take what is absent as "
            "unknown with absent_as_empty=True.",
        )
    first = headers[0]
    wrong = [
        name
        for name, is_right in (
            ("PatientSex", lambda value: value in ("M", "F", "O")),
            ("PatientBirthDate", lambda value: bool(DA(value))),
            ("StudyDate", lambda value: bool(DA(value))),
            ("StudyTime", lambda value: TM(value) is not None),
        )
        if not _fits(first.get(name), is_right)
    ]
    if wrong:
        raise DicomError(
            f"{', '.join(wrong)} of the slices cannot be read as DICOM defines it.",
            where=frames[0].source.path,
            fix="correct or empty it in the files.",
        )


def _fits(value: object, is_right: object) -> bool:
    if value is None or value == "":
        return True
    try:
        return bool(is_right(value))  # type: ignore[operator]
    except (ValueError, TypeError):
        return False


_EXPORT = "export the series again from its source."


def _unify(headers: tuple[Dataset, ...]) -> None:
    """The same patient and study in every header, in one character set.

    As text rather than as the bytes of the source's character set, so that whoever copies them into
    another object cannot take them for another one.
    """
    first = headers[0]
    values = {name: str(first.get(name) or "") for name in _UNKNOWN_ALLOWED}
    plain = all(value.isascii() for value in values.values())
    for header in headers:
        for name, value in values.items():
            setattr(header, name, value)
        header.SpecificCharacterSet = "ISO_IR 100" if plain else "ISO_IR 192"
