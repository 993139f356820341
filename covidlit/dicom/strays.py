"""Files that may belong to a series but could not be counted in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from covidlit.dicom.series import FileProblem, Series

_SEARCHED_BYTES = 65_536


def suspects_of(
    series: Sequence[Series], problems: Sequence[FileProblem]
) -> dict[str, list[FileProblem]]:
    """Which problem files and left-over slices may belong to which series.

    A damaged file in the folder of a series is its suspect if it contains its UID, or if no UID of
    another series there is found in it and the folder holds but one series. A series of one or two
    slices is a suspect of a longer one in the same folder and study with the same image size:
    a slice whose UID or modality was damaged looks just so.

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
        for small in here:
            for large in here:
                if _is_left_over(small, large):
                    reason = "has the same study and size, but another SeriesInstanceUID"
                    suspects.setdefault(large.series_uid, []).extend(
                        FileProblem(path, reason) for path in small.files
                    )
    return suspects


def _mentions(path: Path, uid: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        return uid.encode() in handle.read(_SEARCHED_BYTES)


def _is_left_over(small: Series, large: Series) -> bool:
    if len(small.images) > 2 or len(large.images) <= 2 * len(small.images):
        return False
    first, other = small.images[0], large.images[0]
    if "LOCALIZER" in first.image_type or first.n_frames > 1:
        return False
    if (first.rows, first.columns) != (other.rows, other.columns):
        return False
    return first.study_uid == other.study_uid and _same_direction(small, large)


def _same_direction(small: Series, large: Series) -> bool:
    """Whether the orientation agrees, or is unknown in the small one."""
    own, theirs = small.images[0].frames[0].orientation, large.images[0].frames[0].orientation
    if own is None or theirs is None:
        return True
    return all(abs(a - b) < 0.01 for a, b in zip(own, theirs, strict=True))
