"""Read segmentations back after writing, and hold them against the labels in patient space.

Nothing of what wrote them is used: a frame's place is that of the source file whose SOPInstanceUID
it names, its pixels are decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels import iter_pixels

from covidlit.counted import counted
from covidlit.dicom.out.dcmqi import placed_by_dcmqi
from covidlit.dicom.out.measure import Placed, Tally, placed_labels
from covidlit.dicom.out.source import SourceSeries, without_patient_data_in_logs
from covidlit.errors import DicomError

LIMIT_VOXELS = 0.5
"""How far a segment may lie or differ in volume from its label, in voxels."""

_SAME_PLACE_MM = 0.01

Reading = dict[str, Placed] | None
"""What dcmqi found; see `placed_by_dcmqi`."""

_ALONG = 0.5
"""Voxels per pixel from which an axis of the labels runs along rows or columns of a slice."""


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


def ask_dcmqi(path: Path, source: SourceSeries, pool: Executor) -> Future[Reading] | None:
    """Have dcmqi read a segmentation meanwhile; None for a series that it cannot read.

    It is a program of its own and may run on another core.
    """
    return None if source.tilted else pool.submit(placed_by_dcmqi, path)


def check_segmentation(
    path: Path, source: SourceSeries, drawn: Drawn, asked: Future[Reading] | None = None
) -> tuple[str, ...]:
    """Hold a segmentation that was written against the labels; remove it where it differs.

    Each segment is counted and placed by way of the source files' geometry, every voxel of it must
    carry the label where it lies, and by option another program (dcmqi) must find the same.

    Args:
        path: the file.
        source: the series that it names.
        drawn: what it must show.
        asked: of `ask_dcmqi`; where it is not installed or reads nothing, that is no difference.

    Returns:
        The names of the readers that agreed.

    Raises:
        DicomError: a segment lies or differs by more than half a voxel, or lies on another slice;
            the file is removed.
    """
    expected = drawn.placed()
    try:
        problem = _compare(expected, _read(path, source, drawn), drawn.affine, "pydicom")
    except DicomError as error:
        problem = error.what
    found = asked.result() if asked is not None and not problem else None
    readers = ["pydicom"]
    if found is not None:
        numbers = _numbers_by_name(path)
        by_number = {numbers.get(name, -1): placed for name, placed in found.items()}
        problem = _compare(expected, by_number, drawn.affine, "dcmqi")
        readers.append("dcmqi")
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
        for group, frame in zip(groups, _frames(dataset, path), strict=True):
            uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            if uid not in slices:
                raise DicomError("a frame names a source slice that is not of the series.")
            first = source.positions[slices[uid]]
            _check_plane(group, first)
            if not frame.any():
                continue
            segment = _segment_of(group)
            most = int(frame.max()) if segment is None else segment
            if most >= len(lookup):
                raise DicomError(f"segment {most} was never drawn.")
            if segment is None:
                tally.add(frame, first, down, right)
                wanted = lookup[frame]
            else:
                tally.add_mask(segment, frame, first, down, right)
                wanted = np.int64(lookup[segment])
            if not source.tilted:
                plane = _plane_at(drawn, first, down, right, frame.shape)
                wrong = (frame != 0) & (plane != wanted)
                if wrong.any():
                    raise DicomError(
                        f"{counted(int(wrong.sum()), 'voxel')} of segment "
                        f"{segment or int(frame[wrong][0])} in one slice drawn where another label "
                        "was drawn."
                    )
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


def _plane_at(
    drawn: Drawn,
    first: NDArray[np.float64],
    down: NDArray[np.float64],
    right: NDArray[np.float64],
    size: tuple[int, ...],
) -> NDArray[np.integer[Any]]:
    """The labels that were drawn where the pixels of a slice lie, the nearest to each.

    Args:
        drawn: the volume, its axes along those of the slice in any order.
        first, down, right: (3,) mm: centre of the first pixel, step to the next row, column.
        size: (rows, columns).
    """
    inverse = np.linalg.inv(drawn.affine)
    start = inverse[:3, :3] @ first + inverse[:3, 3]
    steps = np.stack([inverse[:3, :3] @ down, inverse[:3, :3] @ right], axis=1)
    middle = (np.array(size) - 1) / 2
    places, axes = [], [0, 0]
    for k in range(3):
        along = int(np.abs(steps[k]).argmax())
        if abs(steps[k, along]) < _ALONG:
            places.append(np.rint([start[k] + steps[k] @ middle]).astype(np.int64))
            continue
        across = steps[k, 1 - along] * middle[1 - along]
        index = start[k] + across + steps[k, along] * np.arange(size[along])
        places.append(np.rint(index).astype(np.int64))
        axes[along] = k
    for place, length in zip(places, drawn.labels.shape, strict=True):
        if place.min() < 0 or place.max() >= length:
            raise DicomError("a slice lies outside the volume of labels.")
    (fixed,) = {0, 1, 2} - set(axes)
    # Voxel by voxel in a row, as nearly always, without a copy.
    rows = [_as_slice(place) for place in places]
    one_by_one = tuple(row for row in rows if row is not None)
    plane = drawn.labels[one_by_one if len(one_by_one) == 3 else np.ix_(*places)]
    return plane.transpose([fixed, *axes])[0]


def _as_slice(places: NDArray[np.int64]) -> slice | None:
    """The slice that takes the same places; None where they are no voxels in a row."""
    first, last = int(places[0]), int(places[-1])
    step = 1 if last >= first else -1
    if len(places) != abs(last - first) + 1 or (
        len(places) > 1 and (np.diff(places) != step).any()
    ):
        return None
    return slice(first, last + step if last + step >= 0 else None, step)
