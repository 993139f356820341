"""Read secondary captures and PDF back after writing: pixels, bytes, patient and study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from covidlit.dicom.out.source import SourceSeries, without_patient_data_in_logs
from covidlit.errors import DicomError


def check_capture(path: Path, source: SourceSeries, k: int, picture: NDArray[np.uint8]) -> None:
    """Hold a secondary capture that was written against its picture; remove it where it differs.

    Args:
        path: the file.
        source: the slices.
        k: number of the slice that it shows.
        picture: RGB uint8 (rows, columns, 3).

    Raises:
        DicomError: other pixels, another slice, patient or study.
    """
    with without_patient_data_in_logs():
        dataset = dcmread(path)
        problem = _context_problem(dataset, source.headers[k])
        named = str(dataset.SourceImageSequence[0].ReferencedSOPInstanceUID)
        if named != source.instance_uids[k]:
            problem = "it names another slice"
        elif not np.array_equal(dataset.pixel_array, picture):
            problem = "its pixels are others"
    _remove_if(problem, path)


def check_pdf(path: Path, source: SourceSeries, pdf: bytes) -> None:
    """Hold an encapsulated PDF that was written against the document; see `check_capture`.

    Args:
        path: the file.
        source: the slices.
        pdf: the document.

    Raises:
        DicomError: other bytes, another patient or study.
    """
    with without_patient_data_in_logs():
        dataset = dcmread(path)
        problem = _context_problem(dataset, source.headers[0])
        if bytes(dataset.EncapsulatedDocument)[: int(dataset.EncapsulatedDocumentLength)] != pdf:
            problem = "its document is another one"
    _remove_if(problem, path)


def _context_problem(dataset: Dataset, header: Dataset) -> str:
    for name in ("PatientID", "PatientName", "StudyInstanceUID"):
        if str(dataset.get(name, "")) != str(header.get(name, "")):
            return f"its {name} is not that of the source"
    return ""


def _remove_if(problem: str, path: Path) -> None:
    if problem:
        path.unlink(missing_ok=True)
        raise DicomError(
            f"not handed out, because reading it back shows that {problem}.",
            where=path.name,
            fix="report it; the labels and tables themselves are not affected. "
            "The file was removed.",
        )
