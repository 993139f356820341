"""Find all image series under a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from covidlit.dicom.dicomdir import missing_files
from covidlit.dicom.header import DirectoryFileError, read_header
from covidlit.dicom.parse import NOT_DICOM, NotDicomError
from covidlit.dicom.series import FileProblem, Found, ImageFile, Series
from covidlit.dicom.strays import suspects_of, unlikely_others, with_damaged_slices
from covidlit.errors import DicomError

_DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
_CHUNK = 16


def find_series(root: str | Path, *, workers: int | None = None) -> Found:
    """Find all image series under a folder, whatever its files are called.

    Every file is opened once and its header read; folders are searched to any depth. Files that
    are not DICOM, or hold no image (reports, structure sets, DICOMDIR), are only counted; damaged
    ones are listed as problems, and as suspects of the series they may belong to.

    Args:
        root: a folder, or one DICOM file.
        workers: threads; by default one per core, at most 8.

    Returns:
        Series of every modality (`judge` refuses what is not CT), and the problems.

    Raises:
        DicomError: there is no such path.
    """
    root = Path(root)
    if not root.exists():
        raise DicomError("there is no such file or folder.", where=root, fix="check the path.")
    closed: list[FileProblem] = []
    paths = [root] if root.is_file() else sorted(_walk(root, closed))
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(n_threads(workers)) as pool:
        headers = [one for chunk in pool.map(_read_chunk, chunks) for one in chunk]
    headers = with_damaged_slices(paths, headers)
    images = [one for one in headers if isinstance(one, ImageFile)]
    problems = [one for one in headers if isinstance(one, FileProblem)]
    for path, one in zip(paths, headers, strict=True):
        if isinstance(one, DirectoryFileError):
            problems += missing_files(path)
    series = _group(images)
    others = [path for path, one in zip(paths, headers, strict=True) if _is_other(one)]
    problems += unlikely_others(series, others)
    suspects = suspects_of(series, problems)
    series = [replace(one, suspects=tuple(suspects.get(one.series_uid, ()))) for one in series]
    problems += closed
    n_other = sum(isinstance(one, NotDicomError) for one in headers)
    return Found(series, problems, len(paths), n_other)


def n_threads(workers: int | None) -> int:
    """How many threads to use: as asked, or one per core and at most 8."""
    return max(1, workers) if workers is not None else min(8, os.cpu_count() or 1)


def _is_other(header: object) -> bool:
    """Whether a file is not DICOM at all."""
    return isinstance(header, NotDicomError) and str(header) == NOT_DICOM


def _walk(root: Path, closed: list[FileProblem]) -> Iterator[Path]:
    """All files under a folder; what may not be looked into goes to `closed`."""

    def note(error: OSError) -> None:
        closed.append(FileProblem(Path(error.filename), f"cannot be opened: {error.strerror}."))

    for folder, _, names in os.walk(root, onerror=note):
        for name in names:
            path = Path(folder, name)
            try:
                if path.is_file():
                    yield path
            except OSError as error:
                note(error)


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


def _group(images: list[ImageFile]) -> list[Series]:
    by_uid: dict[str, list[ImageFile]] = {}
    for image in images:
        by_uid.setdefault(image.series_uid, []).append(image)
    series = [
        Series(uid, files[0].study_uid, tuple(files), patient_id=files[0].patient_id)
        for uid, files in by_uid.items()
    ]
    return sorted(series, key=lambda one: (str(one.folder), one.series_uid))
