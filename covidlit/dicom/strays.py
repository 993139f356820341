"""Files that may belong to a series but could not be counted in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from covidlit.dicom.geometry import Stack, stack_of, typical_gap
from covidlit.dicom.header import is_other_class
from covidlit.dicom.image_type import is_localizer
from covidlit.dicom.parse import NoImageError
from covidlit.dicom.series import FileProblem, ImageFile, Series

T = TypeVar("T")
_SEARCHED_BYTES = 65_536
_PLACE_TOLERANCE = 0.05  # of the step between slices


def unlikely_others(series: Sequence[Series], others: Sequence[Path]) -> list[FileProblem]:
    """Those of the files that are not DICOM which are called like the slices beside them.

    Args:
        series: what was found.
        others: the files that are not DICOM.
    """
    slices: dict[Path, set[str]] = {}
    for one in series:
        for path in one.files:
            slices.setdefault(path.parent, set()).add(name_pattern(path))
    return [
        FileProblem(path, "not DICOM, although it is called like the slices beside it")
        for path in others
        if name_pattern(path) in slices.get(path.parent, ())
    ]


def with_damaged_slices(paths: Sequence[Path], headers: Sequence[T]) -> list[T | FileProblem]:
    """What was read of each file; a problem where it has no image, but is of a series of images.

    A series holds objects of one modality, so such a file is a slice whose pixels were lost.

    Args:
        paths: the files.
        headers: what was read of each, an `ImageFile`, a `NoImageError` or anything else.
    """
    series = {one.series_uid for one in headers if isinstance(one, ImageFile)} - {""}
    return [
        FileProblem(path, "damaged: no image can be read, although the file is of a series of them")
        if isinstance(one, NoImageError) and one.series_uid in series
        else one
        for path, one in zip(paths, headers, strict=True)
    ]


def name_pattern(path: Path) -> str:
    """A file's name with every number replaced by one mark."""
    return re.sub(r"\d+", "#", path.name)


def suspects_of(
    series: Sequence[Series], problems: Sequence[FileProblem]
) -> dict[str, list[FileProblem]]:
    """Which problem files and left-over slices may belong to which series.

    A damaged file is the suspect of a series in its folder whose UID it contains, or of the only
    series there. A series of one or two slices is the suspect of a longer one in its folder that
    it would continue by one step, or, where it is damaged, that has its study and file names: a
    slice whose SeriesInstanceUID was damaged looks just so.

    Returns:
        SeriesInstanceUID -> the suspects.
    """
    by_folder: dict[Path, list[Series]] = {}
    for one in series:
        for folder in {path.parent for path in one.files}:
            by_folder.setdefault(folder, []).append(one)
    suspects: dict[str, list[FileProblem]] = {}
    for problem in problems:
        here = by_folder.get(problem.path.parent, [])
        named = [one for one in here if _mentions(problem.path, one.series_uid)]
        for one in named or (here if len(here) == 1 else []):
            suspects.setdefault(one.series_uid, []).append(problem)
    for here in by_folder.values():
        small = [one for one in here if len(one.images) <= 2]
        for large in here:
            if small and len(large.images) > 4:
                for one in _continuing(large, small):
                    reason = "continues it by one step, but has another SeriesInstanceUID"
                    found = [FileProblem(path, reason) for path in one.files]
                    suspects.setdefault(large.series_uid, []).extend(found)
                for one in small:
                    if _is_damaged_sibling(one, large):
                        found = [
                            FileProblem(path, "is damaged, also in its SeriesInstanceUID")
                            for path in one.files
                        ]
                        suspects.setdefault(large.series_uid, []).extend(found)
    return suspects


def _is_damaged_sibling(small: Series, large: Series) -> bool:
    if not all(image.damage or image.frames[0].missing for image in small.images):
        return False
    if any(is_other_class(image.sop_class) for image in small.images):
        return False  # a dose report or the like
    if small.study_uid != large.study_uid or is_localizer(small.images[0]):
        return False
    return name_pattern(small.files[0]) == name_pattern(large.files[0])


def _mentions(path: Path, uid: str) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            return uid.encode() in handle.read(_SEARCHED_BYTES)
    except OSError:
        return False  # it is listed as what cannot be read


def _continuing(large: Series, small: Sequence[Series]) -> list[Series]:
    """The small series with a slice one step before the first or after the last of the large."""
    frames = [frame for frame in large.frames if not frame.missing]
    if len(frames) < 3:
        return []
    orientation = np.median([frame.orientation for frame in frames], axis=0)
    stack = stack_of(orientation, np.array([frame.position for frame in frames]))
    along = np.unique(stack.along)
    step = typical_gap(along)
    return [
        one
        for one in small
        if any(
            not frame.missing
            and (frame.source.rows, frame.source.columns)
            == (large.images[0].rows, large.images[0].columns)
            and np.allclose(frame.orientation or 0, orientation, atol=0.01)
            and _continues(stack, along, step, np.array(frame.position))
            for frame in one.frames
        )
    ]


def _continues(stack: Stack, along: np.ndarray, step: float, position: np.ndarray) -> bool:
    place = float(position @ stack.normal)
    beyond = min(abs(place - (along[0] - step)), abs(place - (along[-1] + step)))
    across = np.array([position @ stack.row, position @ stack.column])
    near = np.abs(across - np.median(stack.across, axis=0)).max() < 1.0
    return bool(near and beyond <= _PLACE_TOLERANCE * step)
