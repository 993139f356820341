"""DICOMDIR: an index of files on a medium; tells which files a copy of the medium lacks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydicom import dcmread

from covidlit.dicom.parse import inflated_header
from covidlit.dicom.series import FileProblem
from covidlit.dicom.wording import name_some
from covidlit.files import printable

_LEVELS_UP = 4  # a DICOMDIR in a sub-folder: its paths may start from a folder above


class Promised(NamedTuple):
    """A file that a DICOMDIR refers to.

    Args:
        parts: its path on the medium.
        sop_uid: its SOPInstanceUID; empty where the DICOMDIR does not say it.
        series_uid: its SeriesInstanceUID; empty where the DICOMDIR does not say it.
    """

    parts: tuple[str, ...]
    sop_uid: str
    series_uid: str


class Lost(NamedTuple):
    """What a DICOMDIR promises in vain.

    Args:
        note: a sentence for people; empty where nothing is missing.
        by_series: SeriesInstanceUID -> its files that are missing.
    """

    note: str
    by_series: dict[str, list[FileProblem]]


def promised_by(path: Path) -> list[Promised]:
    """The files that a DICOMDIR refers to.

    Raises:
        Exception: pydicom may raise nearly anything on a damaged one; `find_series` guards.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = dcmread(inflated_header(path) or path, force=True)
        records = list(content.get("DirectoryRecordSequence") or [])
        series = _series_of(records)
        found = []
        for record in records:
            parts = record.get("ReferencedFileID")
            if parts:
                names = [parts] if isinstance(parts, str) else [str(part) for part in parts]
                uid = str(record.get("ReferencedSOPInstanceUIDInFile") or "")
                names = [name for one in names for name in one.replace("\\", "/").split("/")]
                found.append(Promised(tuple(names), uid, series.get(id(record), "")))
    return found


class Present:
    """The files that are there, to be found by their path on a medium, wherever that starts.

    Args:
        paths: all files that were found.
        sop_uids: SOPInstanceUIDs of the images among them.
    """

    def __init__(self, paths: Iterable[Path], sop_uids: Iterable[str]) -> None:
        self._by_name: dict[str, list[tuple[str, ...]]] = {}
        self._uids = frozenset(sop_uids)
        self._listed: dict[str, dict[str, str]] = {}
        for path in paths:
            parts = tuple(map(_plain, path.parts))
            self._by_name.setdefault(parts[-1], []).append(parts)

    def has(self, promised: Promised, directory: Path) -> bool:
        """Whether a file is there: by its UID, its path's end, or from a folder above."""
        if promised.sop_uid in self._uids:
            return True
        parts = tuple(map(_plain, promised.parts))
        for end in range(len(parts) - 1 or 1):
            tail = parts[end:]
            if any(there[-len(tail) :] == tail for there in self._by_name.get(tail[-1], ())):
                return True
        return self.place(promised, directory) is not None

    def place(self, promised: Promised, directory: Path) -> Path | None:
        """Where a file lies on the disk, whatever the case of its name; None where it does not."""
        for start in (directory.parent, *list(directory.absolute().parent.parents)[:_LEVELS_UP]):
            here = str(start)
            for name in promised.parts:
                here = self._entry(here, name)
            if here and os.path.isfile(here):  # noqa: PTH113 (many files)
                return Path(here)
        return None

    def _entry(self, folder: str, name: str) -> str:
        """The path of a folder's entry, whatever its case; empty where there is none."""
        if folder not in self._listed:
            try:
                names = os.listdir(folder) if folder else []  # noqa: PTH208 (speed, many files)
            except OSError:
                names = []
            self._listed[folder] = {_plain(one): one for one in names}
        there = self._listed[folder].get(_plain(name))
        return "" if there is None else f"{folder}/{there}"


def lost_files(directory: Path, promised: Sequence[Promised], present: Present) -> Lost:
    """The files that a DICOMDIR refers to and that are not there, whatever case they are in.

    Args:
        directory: the DICOMDIR, or DIRFILE, or whatever it is called.
        promised: what it refers to.
        present: what is there.
    """
    lost = [one for one in promised if not present.has(one, directory)]
    by_series: dict[str, list[FileProblem]] = {}
    for one in lost:
        if one.series_uid:
            why = f"missing: {printable(directory.name)} lists it as one of this series"
            problem = FileProblem(directory.parent.joinpath(*one.parts), why)
            by_series.setdefault(one.series_uid, []).append(problem)
    if not lost:
        return Lost("", {})
    names = name_some(["/".join(one.parts) for one in lost])
    return Lost(
        f"{printable(directory.name)} refers to {len(lost)} of {len(promised)} files that are not "
        f"here ({names}): the medium was copied in part",
        by_series,
    )


def _plain(name: str) -> str:
    """A file's name as a medium knows it: without case, version, and the ending of a copy."""
    plain = name.lower().partition(";")[0].rstrip(".")
    return plain.removesuffix(".dcm")


def _series_of(records: Sequence[Any]) -> dict[int, str]:
    """SeriesInstanceUID by the identity of each record below a series' (PS3.3, F.2.2.2)."""
    at = {int(getattr(record, "seq_item_tell", 0) or 0): record for record in records}
    found: dict[int, str] = {}
    for record in records:
        if record.get("DirectoryRecordType") == "SERIES":
            uid = str(record.get("SeriesInstanceUID") or "")
            for below in _chain(record, at):
                found[id(below)] = uid
    return found


def _chain(series: Any, at: dict[int, Any]) -> Iterator[Any]:
    offset = int(series.get("OffsetOfReferencedLowerLevelDirectoryEntity") or 0)
    met: set[int] = set()
    while offset and offset in at and offset not in met:
        met.add(offset)
        yield at[offset]
        offset = int(at[offset].get("OffsetOfTheNextDirectoryRecord") or 0)
