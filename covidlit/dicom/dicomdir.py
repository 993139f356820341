"""DICOMDIR: an index of files; used only to list those that it promises and that are missing."""

from __future__ import annotations

import warnings
from pathlib import Path

from pydicom import dcmread

from covidlit.dicom.parse import inflated_header
from covidlit.dicom.series import FileProblem


def missing_files(path: Path) -> list[FileProblem]:
    """The files that a DICOMDIR refers to and that are not there; names compare without case.

    Args:
        path: the DICOMDIR. A damaged one is itself a problem and never an error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = list(
                dcmread(inflated_header(path) or path, force=True).get("DirectoryRecordSequence")
                or []
            )
            referred = [record.get("ReferencedFileID") for record in records]
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        return [FileProblem(path, f"damaged DICOMDIR: {type(error).__name__}: {text}")]
    problems = []
    for parts in referred:
        if not parts:
            continue
        names = [parts] if isinstance(parts, str) else [str(part) for part in parts]
        if not _exists(path.parent, names):
            problems.append(
                FileProblem(
                    path.parent.joinpath(*names),
                    f"missing: {path.name} refers to it. Fix: copy the whole medium again.",
                )
            )
    return problems


def _exists(folder: Path, names: list[str]) -> bool:
    if folder.joinpath(*names).is_file():
        return True
    for name in names:
        if not folder.is_dir():
            return False
        same = [entry for entry in folder.iterdir() if entry.name.lower() == name.lower()]
        if not same:
            return False
        folder = same[0]
    return folder.is_file()
