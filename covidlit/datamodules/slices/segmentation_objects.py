"""Label volumes of DICOM segmentation objects (SEG), frame by frame where they lie in the patient.

Neither the order of the frames nor the object's own spacing is relied on: empty slices may be left
out, and writers state the spacing that is left between the others (PS3.3, C.8.20).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from covidlit.errors import CovidlitError

_TOLERANCE = 0.1
"""Of a voxel: how far the centres of a frame's pixels may lie off those of the scan."""


def read_segments(
    path: Path, affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
    """The segments of a SEG on the grid of its scan: number, label, mask (z, y, x).

    Args:
        path: of the object: binary, or a label map.
        affine: of the scan, index (z, y, x) to LPS mm.
        shape: of the scan.

    Raises:
        CovidlitError: no such object, fractions, frames that do not lie on the scan's slices, or
            pixels that cannot be decoded.
    """
    dataset = _opened(path)
    kind = str(dataset.get("SegmentationType", ""))
    if kind not in ("BINARY", "LABELMAP"):
        raise CovidlitError(
            f"its segments are {kind or 'of an unknown kind'}, not BINARY or LABELMAP.",
            where=path,
            fix="write which voxels are of a segment, not how probably.",
        )
    try:
        frames = dataset.pixel_array.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    except Exception as error:  # whatever a decoder makes of damaged pixels
        raise CovidlitError(
            f"its pixels cannot be decoded ({type(error).__name__}: {error}).",
            where=path,
            fix="write the object again, uncompressed or RLE.",
        ) from error
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence", []))
    if len(groups) != len(frames):
        raise CovidlitError(
            f"it has {len(frames)} frames and says of {len(groups)} where they lie.",
            where=path,
            fix="write the object again.",
        )
    shared = (list(dataset.get("SharedFunctionalGroupsSequence", [])) or [Dataset()])[0]
    places = [
        _place(_Groups(group, shared), affine, shape, frame.shape, path)
        for group, frame in zip(groups, frames, strict=True)
    ]
    for segment in dataset.get("SegmentSequence", []):
        number = int(segment.SegmentNumber)
        if kind == "LABELMAP" and number == 0:
            continue  # the background, as a label map lists it
        mask = np.zeros(shape, bool)
        for group, frame, place in zip(groups, frames, places, strict=True):
            if kind == "LABELMAP":
                own = frame == number
            elif _segment_of(_Groups(group, shared), path) == number:
                own = frame > 0
            else:
                continue
            if own.any():
                _put(mask, own, place, path)
        yield number, str(segment.get("SegmentLabel", "")), mask


class _Groups:
    """What is said of a frame, by itself or of all."""

    def __init__(self, own: Dataset, shared: Dataset) -> None:
        self._own, self._shared = own, shared

    def first(self, name: str, path: Path) -> Dataset:
        found = self._own.get(name) or self._shared.get(name)
        if not found:
            raise CovidlitError(
                f"of a frame there is no {name}.", where=path, fix="write the object again."
            )
        first: Dataset = found[0]
        return first


def _opened(path: Path) -> Dataset:
    try:
        dataset = pydicom.dcmread(path)
    except (InvalidDicomError, OSError, ValueError, EOFError) as error:
        raise CovidlitError(
            f"cannot be read as DICOM ({error}).", where=path, fix="check the file."
        ) from error
    if dataset.get("Modality") != "SEG" or "SegmentSequence" not in dataset:
        raise CovidlitError(
            f"is no segmentation, but of the modality {dataset.get('Modality', 'unknown')}.",
            where=path,
            fix="give a DICOM SEG or an image file of labels.",
        )
    return dataset


def _segment_of(groups: _Groups, path: Path) -> int:
    return int(groups.first("SegmentIdentificationSequence", path).ReferencedSegmentNumber)


def _place(
    groups: _Groups,
    affine: NDArray[np.float64],
    shape: tuple[int, int, int],
    size: Any,
    path: Path,
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Where a frame lies in the scan: its slice, and the rows and columns of its pixels."""
    try:
        corner = np.array(groups.first("PlanePositionSequence", path).ImagePositionPatient, float)
        cosines = groups.first("PlaneOrientationSequence", path).ImageOrientationPatient
        right, down = np.array(cosines, float).reshape(2, 3)
        spacing = np.array(groups.first("PixelMeasuresSequence", path).PixelSpacing, float)
    except (AttributeError, TypeError, ValueError) as error:
        raise CovidlitError(
            f"where a frame lies cannot be read ({error}).", where=path, fix="write it again."
        ) from error
    to_index = np.linalg.inv(affine)
    ends = np.array([[0, 0], [size[0] - 1, size[1] - 1]])
    points = corner + ends[:, :1] * spacing[0] * down + ends[:, 1:] * spacing[1] * right
    index = points @ to_index[:3, :3].T + to_index[:3, 3]
    whole = np.rint(index)
    (z, y, x), (z_end, y_end, x_end) = whole.astype(np.int64).tolist()
    upright = abs(y_end - y) == size[0] - 1 and abs(x_end - x) == size[1] - 1
    if np.abs(index - whole).max() > _TOLERANCE or z != z_end or not upright:
        raise CovidlitError(
            f"a frame at {corner.round(2).tolist()} mm does not lie on a slice of the scan: its "
            f"corners are at the voxels (z, y, x) = {index.round(2).tolist()}.",
            where=path,
            fix="give the segmentation of this series; one of a series with a tilted gantry, whose "
            "scan is resampled, cannot be used.",
        )
    rows = np.linspace(y, y_end, size[0]).round().astype(np.int64)
    columns = np.linspace(x, x_end, size[1]).round().astype(np.int64)
    return z, rows, columns


def _put(
    mask: NDArray[np.bool_],
    frame: NDArray[np.bool_],
    place: tuple[int, NDArray[np.int64], NDArray[np.int64]],
    path: Path,
) -> None:
    z, rows, columns = place
    at_rows, at_columns = np.nonzero(frame)
    y, x = rows[at_rows], columns[at_columns]
    inside = (0 <= z < mask.shape[0]) & (y >= 0) & (y < mask.shape[1])
    inside &= (x >= 0) & (x < mask.shape[2])
    if not np.all(inside):
        raise CovidlitError(
            f"a segment reaches out of the scan, to slice {z} of {mask.shape[0]}.",
            where=path,
            fix="give the segmentation of this series.",
        )
    mask[z, y, x] = True
