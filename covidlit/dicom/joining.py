"""From image files to series, also where de-identification damaged the SeriesInstanceUIDs."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

from covidlit.dicom.geometry import stack_of
from covidlit.dicom.image_type import is_localizer
from covidlit.dicom.series import FileProblem, ImageFile, Series

_LEAST = 4  # slices that go on from one to the next before they are taken for one series
_MEND = (
    "de-identify again with one UID for the whole series, or join them with the override "
    "damaged_series_uid"
)
NO_UID = "damaged: no SeriesInstanceUID can be read. Fix: fetch the file again from its source."


def series_of(images: Sequence[ImageFile]) -> tuple[list[Series], list[FileProblem]]:
    """Group image files by SeriesInstanceUID, sorted by folder and UID.

    Single slices that have a UID each, or none, and make a stack together become one series, whose
    `uid_problem` says so: `judge` refuses it by `damaged_series_uid`.

    Returns:
        The series, and the files without a UID that belong to none.
    """
    by_uid: dict[str, list[ImageFile]] = {}
    for image in images:
        by_uid.setdefault(image.series_uid, []).append(image)
    nameless = by_uid.pop("", [])
    single = [files[0] for files in by_uid.values() if len(files) == 1 and _is_slice(files[0])]
    joined: list[Series] = []
    for by_study in (True, False):
        for stack in _stacks(single, by_study):
            what = f"each of the {len(stack)} files has a SeriesInstanceUID of its own, though "
            what += "they make one stack: the UIDs were replaced file by file"
            joined.append(_join(stack, f"{what}; {_MEND}"))
            for image in stack:
                del by_uid[image.series_uid]
        single = [image for image in single if image.series_uid in by_uid]
    whole = [Series(uid, files[0].study_uid, tuple(files), patient_id=files[0].patient_id)
             for uid, files in by_uid.items()]  # fmt: skip
    unnamed, problems = _without_uid(nameless, whole)
    return sorted([*whole, *joined, *unnamed], key=lambda one: (str(one.folder), one.series_uid)), (
        problems
    )


def _without_uid(
    images: Sequence[ImageFile], named: Sequence[Series]
) -> tuple[list[Series], list[FileProblem]]:
    """Series of files without a UID; beside a series that they fit they are damaged slices."""
    beside = {
        _kind(image, image.path.parent) for one in named for image in one.images if one.images
    } if images else set()  # fmt: skip
    free = [
        image
        for image in images
        if _is_slice(image) and _kind(image, image.path.parent) not in beside
    ]
    series = []
    taken: set[ImageFile] = set()
    for stack in (*_stacks(free, True), *([image] for image in free if image.n_frames >= _LEAST)):
        what = "the file has" if len(stack) == 1 else f"the {len(stack)} files have"
        what += " no SeriesInstanceUID: it was removed, by a de-identification perhaps"
        series.append(_join(stack, f"{what}; {_MEND}"))
        taken |= set(stack)
    return series, [FileProblem(one.path, NO_UID) for one in images if one not in taken]


def _is_slice(image: ImageFile) -> bool:
    return bool(image.frames) and not image.frames[0].missing and not is_localizer(image)


def _kind(image: ImageFile, of: Hashable) -> tuple[Hashable, ...]:
    """What the slices of one series have in common, whatever their UIDs say."""
    frame = image.frames[0]
    orientation = tuple(round(cosine, 2) + 0.0 for cosine in frame.orientation or ())
    number = image.facts.get("series_number", "")
    return of, image.patient_id, number, image.rows, image.columns, orientation, frame.pixel_spacing


def _stacks(images: Iterable[ImageFile], by_study: bool) -> list[list[ImageFile]]:
    """Single slices of one kind that lie at places of their own."""
    kinds: dict[tuple[Hashable, ...], list[ImageFile]] = {}
    for image in images:
        if image.n_frames == 1:
            of: str | Path = image.study_uid if by_study and image.study_uid else image.path.parent
            kinds.setdefault(_kind(image, of), []).append(image)
    return [stack for stack in kinds.values() if len(stack) >= _LEAST and _are_apart(stack)]


def _are_apart(stack: Sequence[ImageFile]) -> bool:
    frames = [image.frames[0] for image in stack]
    orientation = np.median([frame.orientation for frame in frames], axis=0)
    along = stack_of(orientation, np.array([frame.position for frame in frames])).along
    return len(np.unique(np.round(along, 2))) >= max(_LEAST, 0.3 * len(stack))


def _join(images: Sequence[ImageFile], problem: str) -> Series:
    ordered = sorted(images, key=lambda image: str(image.path))
    uid = _uid_of(sorted(f"{image.series_uid} {image.sop_uid}" for image in ordered))
    studies = sorted({image.study_uid for image in ordered})
    study = studies[0] if len(studies) == 1 else _uid_of(studies)
    return Series(uid, study, tuple(ordered), patient_id=ordered[0].patient_id, uid_problem=problem)


def _uid_of(texts: Sequence[str]) -> str:
    """A UID for what has none of its own, the same wherever the same files lie (PS3.5, B.2)."""
    digest = hashlib.sha256("\n".join(texts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
