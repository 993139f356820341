"""Read segmentations back after writing, and hold them against the labels in patient space.

Nothing of what wrote them is used: a frame's place is that of the source file whose SOPInstanceUID
it names, its pixels are decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels import iter_pixels

from covidlit.dicom.out.dcmqi import placed_by_dcmqi
from covidlit.dicom.out.measure import Placed, Tally, placed_labels
from covidlit.dicom.out.source import SourceSeries, without_patient_data_in_logs
from covidlit.errors import DicomError

LIMIT_VOXELS = 0.5
"""How far a segment may lie or differ in volume from its label, in voxels."""

_SAME_PLACE_MM = 0.01


@dataclass(frozen=True)
class Drawn:
    """The labels that a segmentation must show.

    Args:
        labels: (z, y, x), in the order of the scan.
        affine: index (z, y, x) to LPS mm.
        label_of: segment number -> value in `labels`.
    """

    labels: NDArray[np.integer[Any]]
    affine: NDArray[np.float64]
    label_of: Mapping[int, int]

    def placed(self) -> dict[int, Placed]:
        """Voxels and centroid of each segment as drawn."""
        most = max(int(self.labels.max(initial=0)), *self.label_of.values(), 0)
        found = placed_labels(self.labels, self.affine, most)
        return {number: found[label] for number, label in self.label_of.items()}


def check_segmentation(
    path: Path, source: SourceSeries, drawn: Drawn, *, independent: bool = True
) -> tuple[str, ...]:
    """Hold a segmentation that was written against the labels; remove it where it differs.

    Each segment is counted and placed by way of the source files' geometry, every voxel of it must
    carry the label where it lies, and by option another program (dcmqi) must find the same.

    Args:
        path: the file.
        source: the series that it names.
        drawn: what it must show.
        independent: ask dcmqi too, where it is installed and can read such a series.

    Returns:
        The names of the readers that agreed.

    Raises:
        DicomError: a segment lies or differs by more than half a voxel, or cannot be read; the file
            is removed.
    """
    expected = drawn.placed()
    try:
        problem = _compare(expected, _read(path, source, drawn), drawn.affine, "pydicom")
        readers = ["pydicom"]
        if not problem and independent and not source.tilted:
            found = placed_by_dcmqi(path)
            if found is not None:
                numbers = _numbers_by_name(path)
                by_number = {numbers[name]: placed for name, placed in found.items()}
                problem = _compare(expected, by_number, drawn.affine, "dcmqi")
                readers.append("dcmqi")
    except DicomError as error:
        path.unlink(missing_ok=True)
        raise _not_handed_out(path, error.what) from error
    if problem:
        path.unlink(missing_ok=True)
        raise _not_handed_out(path, problem)
    return tuple(readers)


def _not_handed_out(path: Path, why: str) -> DicomError:
    return DicomError(
        f"not handed out, because reading it back shows something else than was drawn: {why}",
        where=path.name,
        fix="report it; the labels and tables themselves are not affected. The file was removed.",
    )


def _compare(
    expected: Mapping[int, Placed],
    found: Mapping[int, Placed],
    affine: NDArray[np.float64],
    reader: str,
) -> str:
    """What differs by more than half a voxel; empty where nothing does."""
    to_voxels = np.linalg.inv(affine[:3, :3])
    for number, want in expected.items():
        got = found.get(number, Placed(0, np.full(3, np.nan)))
        if abs(got.voxels - want.voxels) > LIMIT_VOXELS:
            return f"segment {number} has {got.voxels} voxels, drawn were {want.voxels} ({reader})."
        if want.voxels:
            off = float(np.abs(to_voxels @ (got.centroid - want.centroid)).max())
            if not off <= LIMIT_VOXELS:
                return (
                    f"the centre of segment {number} lies {off:.2f} voxels from where it was drawn "
                    f"({reader})."
                )
    extra = sorted(number for number in found if number not in expected and found[number].voxels)
    return f"segment {extra[0]} was never drawn ({reader})." if extra else ""


def _read(path: Path, source: SourceSeries, drawn: Drawn) -> dict[int, Placed]:
    with without_patient_data_in_logs():
        dataset = dcmread(path)
        _check_context(dataset, source)
        slices = {uid: k for k, uid in enumerate(source.instance_uids)}
        rows_mm, columns_mm = source.pixel_spacing
        down, right = source.column * rows_mm, source.row * columns_mm
        groups = dataset.PerFrameFunctionalGroupsSequence
        lookup = np.full(max(drawn.label_of, default=0) + 1, -1, np.int64)
        for number, label in drawn.label_of.items():
            lookup[number] = label
        tally = Tally(len(lookup) - 1)
        inverse = np.linalg.inv(drawn.affine).astype(np.float64)
        for group, frame in zip(groups, _frames(dataset, path), strict=True):
            rows, columns = np.nonzero(frame)
            uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            if uid not in slices:
                raise DicomError("a frame names a source slice that is not of the series.")
            first = source.positions[slices[uid]]
            _check_plane(group, first)
            if not len(rows):
                continue
            segment = _segment_of(group)
            numbers = frame[rows, columns] if segment is None else np.full(len(rows), segment)
            if numbers.max() >= len(lookup):
                raise DicomError(f"segment {int(numbers.max())} was never drawn.")
            tally.add(numbers, rows, columns, first, down, right)
            if not source.tilted:
                places = _indices(inverse, rows, columns, first, down, right)
                _check_labels(drawn.labels, places, lookup[numbers], numbers)
        return tally.placed()


def _numbers_by_name(path: Path) -> dict[str, int]:
    """TrackingUID, or label where there is none, to segment number."""
    segments = dcmread(path, stop_before_pixels=True).SegmentSequence
    return {
        str(item.get("TrackingUID") or item.SegmentLabel): int(item.SegmentNumber)
        for item in segments
    }


def _check_context(dataset: Dataset, source: SourceSeries) -> None:
    header = source.headers[0]
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "Rows", "Columns"):
        if str(dataset.get(name, "")) != str(header.get(name, "")):
            raise DicomError(f"{name} is not that of the source.")


def _check_plane(group: Dataset, first: NDArray[np.float64]) -> None:
    own = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
    if np.abs(own - first).max() > _SAME_PLACE_MM:
        raise DicomError("a frame's position is not that of the source slice that it names.")


def _segment_of(group: Dataset) -> int | None:
    items = group.get("SegmentIdentificationSequence")
    return int(items[0].ReferencedSegmentNumber) if items else None


def _frames(dataset: Dataset, path: Path) -> Iterator[NDArray[Any]]:
    """The pixels of each frame, decoded here where they are bits, else by pydicom's decoders."""
    if dataset.BitsAllocated != 1:
        yield from iter_pixels(path)
        return
    shape = (int(dataset.Rows), int(dataset.Columns))
    n_pixels = shape[0] * shape[1]
    stored = np.frombuffer(dataset.PixelData, np.uint8)
    for frame in range(int(dataset.NumberOfFrames)):
        # Frames follow each other without a gap, so that one may begin within a byte.
        start = frame * n_pixels
        chunk = stored[start // 8 : -(-(start + n_pixels) // 8)]
        if chunk.any():
            bits = np.unpackbits(chunk, bitorder="little")
            yield bits[start % 8 : start % 8 + n_pixels].reshape(shape)
        else:
            yield np.zeros(shape, np.uint8)


def _indices(
    inverse: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    first: NDArray[np.float64],
    down: NDArray[np.float64],
    right: NDArray[np.float64],
) -> tuple[NDArray[np.int64], ...]:
    """Where pixels of a slice lie in the volume of labels, nearest (z, y, x)."""
    start = inverse[:3, :3] @ first + inverse[:3, 3]
    by_row, by_column = inverse[:3, :3] @ down, inverse[:3, :3] @ right
    return tuple(
        np.rint(start[k] + by_row[k] * rows + by_column[k] * columns).astype(np.int64)
        for k in range(3)
    )


def _check_labels(
    labels: NDArray[np.integer[Any]],
    places: tuple[NDArray[np.int64], ...],
    wanted: NDArray[np.int64],
    numbers: NDArray[Any],
) -> None:
    inside = np.ones(len(wanted), bool)
    for place, size in zip(places, labels.shape, strict=True):
        inside &= (place >= 0) & (place < size)
    same = np.zeros(len(wanted), bool)
    same[inside] = labels[tuple(place[inside] for place in places)] == wanted[inside]
    if not same.all():
        number = int(numbers[~same][0])
        raise DicomError(
            f"{int((~same).sum())} voxel(s) of segment {number} in one slice lie where another "
            "label was drawn."
        )
