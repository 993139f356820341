"""Find all image series under a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from covidlit.dicom.archives import packed_problems
from covidlit.dicom.dicomdir import Present, lost_files, promised_by
from covidlit.dicom.header import DirectoryFileError, read_header
from covidlit.dicom.joining import series_of
from covidlit.dicom.parse import NOT_DICOM, NoImageError, NotDicomError
from covidlit.dicom.series import FileProblem, Found, ImageFile
from covidlit.dicom.strays import suspects_of, unlikely_others, with_damaged_slices
from covidlit.errors import DicomError
from covidlit.files import path_named, printable
from covidlit.scans.folder import kind_of_special, walk
from covidlit.scans.images import is_image

_DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
_CHUNK = 16


def find_series(root: str | Path, *, workers: int | None = None) -> Found:
    """Find all image series under a folder, whatever its files are called.

    Every regular file is opened once and its header read; folders and symbolic links are followed
    to any depth (`covidlit.scans.folder.walk`). Files that are not DICOM, or hold no image
    (reports, structure sets, DICOMDIR), are only counted; damaged ones, packed ones and those that
    are no regular files are listed as problems, and as suspects of the series they may belong to.

    Args:
        root: a folder, one DICOM file, or a DICOMDIR, whose folder and files are meant.
        workers: threads; by default one per core, at most 8.

    Returns:
        Series of every modality (`judge` refuses what is not CT), and the problems.

    Raises:
        DicomError: there is no such path, or it is a pipe or a device.
    """
    root = path_named(root)
    closed: list[FileProblem] = []
    paths = list(_paths(root, closed))
    headers = _read_all(paths, workers)
    if root.is_file() and isinstance(headers[0], DirectoryFileError):
        paths = list(_of_medium(root, closed))
        headers = _read_all(paths, workers)
    headers = with_damaged_slices(paths, headers)
    images = [one for one in headers if isinstance(one, ImageFile)]
    series, nameless = series_of(images)
    problems = [one for one in headers if isinstance(one, FileProblem)] + nameless
    directories = [
        path for path, one in zip(paths, headers, strict=True)
        if isinstance(one, DirectoryFileError)
    ]  # fmt: skip
    notes, lost = _lost(directories, paths, images, problems)
    others = [path for path, one in zip(paths, headers, strict=True) if _is_other(one)]
    packed = packed_problems(path for path in others if not is_image(path))
    problems += unlikely_others(series, others)
    suspects = suspects_of(series, problems)
    for uid, missing in lost.items():
        suspects.setdefault(uid, []).extend(missing)
    series = [replace(one, suspects=tuple(suspects.get(one.series_uid, ()))) for one in series]
    problems += [*packed, *closed]
    told = {problem.path for problem in problems}  # such as archives, which count there
    n_other = sum(
        isinstance(one, NotDicomError) and path not in told
        for path, one in zip(paths, headers, strict=True)
    )
    without_image = tuple(
        (path, one.sop_class) for path, one in zip(paths, headers, strict=True)
        if isinstance(one, NoImageError) and path not in told
    )  # fmt: skip
    return Found(series, problems, len(paths), n_other, tuple(notes), without_image)


def _paths(root: Path, closed: list[FileProblem]) -> Iterator[Path]:
    """The files at a path, sorted; what is not looked into goes to `closed`."""
    try:
        special = kind_of_special(root)
    except OSError as error:
        there = "there is no such file or folder" if not root.exists() else error.strerror
        raise DicomError(f"{there}.", where=printable(root), fix="check the path.") from error
    if special:
        raise DicomError(f"it is {special}, no file or folder.", where=printable(root))
    if root.is_file():
        yield root
        return
    walked = walk(root)
    closed += [FileProblem(path, reason) for path, reason in walked.unread]
    yield from walked.files


def _of_medium(directory: Path, closed: list[FileProblem]) -> list[Path]:
    """The files in the folder of a DICOMDIR, and those it refers to elsewhere."""
    paths = list(_paths(directory.parent, closed))
    try:
        promised = promised_by(directory)
    except Exception:
        return paths  # `_lost` lists it as damaged
    present, known = Present((), ()), set(paths)
    places = (present.place(one, directory) for one in promised)
    beyond = {place for place in places if place is not None and place not in known}
    inside = {path.resolve() for path in paths} if beyond else set()
    return sorted([*paths, *(path for path in beyond if path.resolve() not in inside)])


def _lost(
    directories: Sequence[Path],
    paths: Sequence[Path],
    images: Sequence[ImageFile],
    problems: list[FileProblem],
) -> tuple[list[str], dict[str, list[FileProblem]]]:
    """What DICOMDIRs promise in vain, as notes and by series; damaged ones become problems.

    pydicom raises nearly any exception on a damaged DICOMDIR, as in `_read`.
    """
    notes: list[str] = []
    by_series: dict[str, list[FileProblem]] = {}
    if not directories:
        return notes, by_series
    present = Present(paths, (image.sop_uid for image in images if image.sop_uid))
    for directory in directories:
        try:
            lost = lost_files(directory, promised_by(directory), present)
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            reason = f"damaged DICOMDIR: {type(error).__name__}: {text}"
            problems.append(FileProblem(directory, reason))
            continue
        notes += [lost.note] * bool(lost.note)
        for uid, missing in lost.by_series.items():
            by_series.setdefault(uid, []).extend(missing)
    return notes, by_series


def _read_all(
    paths: Sequence[Path], workers: int | None
) -> list[ImageFile | FileProblem | NotDicomError]:
    chunks = [list(paths[start : start + _CHUNK]) for start in range(0, len(paths), _CHUNK)]
    headers: list[ImageFile | FileProblem | NotDicomError] = []
    # Threads help where files are waited for. In memory they only take turns, which costs a third.
    while chunks:
        began, worked = time.perf_counter(), time.thread_time()
        headers += _read_chunk(chunks.pop(0))
        waited = time.perf_counter() - began - (time.thread_time() - worked)
        if waited > 0.5 * (time.perf_counter() - began) and workers != 1:
            break
    with ThreadPoolExecutor(n_threads(workers)) as pool:
        headers += [one for chunk in pool.map(_read_chunk, chunks) for one in chunk]
    return headers


def n_threads(workers: int | None) -> int:
    """How many threads to use: as asked, or one per core and at most 8."""
    return max(1, workers) if workers is not None else min(8, os.cpu_count() or 1)


def _is_other(header: object) -> bool:
    """Whether a file is not DICOM at all."""
    return isinstance(header, NotDicomError) and str(header) == NOT_DICOM


def _read_chunk(paths: list[Path]) -> list[ImageFile | FileProblem | NotDicomError]:
    return [_read(path) for path in paths]


def _read(path: Path) -> ImageFile | FileProblem | NotDicomError:
    """The boundary for damaged files.

    pydicom raises nearly any exception on a damaged file, so every Exception is caught here, on
    purpose, and the file is listed with it; nothing else in the reading of headers catches.
    """
    try:
        return read_header(path)
    except NotDicomError as error:
        if path.suffix.lower() in _DICOM_SUFFIXES and _is_other(error):
            return FileProblem(path, "not DICOM in spite of its name; encrypted or damaged?")
        return error
    except DicomError as error:
        return FileProblem(path, str(error))
    except OSError as error:
        return FileProblem(path, f"cannot be read: {error.strerror or error}.")
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        return FileProblem(path, f"damaged: {type(error).__name__}: {text}")
