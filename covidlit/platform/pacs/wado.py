"""Series found by QIDO-RS and fetched by WADO-RS, an object in each request."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from covidlit.dicom.out.source import without_patient_data_in_logs
from covidlit.platform.pacs.errors import Refused
from covidlit.platform.pacs.web import Web

MOST_STUDIES = 100
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PATIENT_ID, _PATIENT_NAME, _STUDY, _DAY = "00100020", "00100010", "0020000D", "00080020"
_SERIES, _MODALITY, _DESCRIPTION, _IMAGES = "0020000E", "00080060", "0008103E", "00201209"
_INSTANCE = "00080018"


class FoundSeries(NamedTuple):
    """A series that an archive has.

    Args:
        study_uid, series_uid: of it.
        patient_name: as the archive has it.
        day: of the study, YYYYMMDD, or empty.
        modality: such as CT.
        description: of the series.
        n_images: as the archive says; empty where it does not.
    """

    study_uid: str
    series_uid: str
    patient_name: str
    day: str
    modality: str
    description: str
    n_images: str


def find_series(web: Web, patient_id: str, days: str = "") -> list[FoundSeries]:
    """The series of a patient.

    Args:
        web: of the archive.
        patient_id: the whole number; what differs from it, also in capitals alone, is left out.
        days: of the studies: YYYYMMDD, or two of them with - between; empty: all.

    Raises:
        Unreachable, Refused: see `Web`.

    Source: DICOM PS3.18, section 10.6.
    """
    query = {"PatientID": patient_id, "limit": str(MOST_STUDIES)}
    if days:
        query["StudyDate"] = days
    found = []
    for study in web.json("studies", query):
        study_uid = _text(study, _STUDY)
        if _text(study, _PATIENT_ID) != patient_id or not UID.fullmatch(study_uid):
            continue
        for series in web.json(f"studies/{study_uid}/series", {"includefield": _DESCRIPTION}):
            series_uid = _text(series, _SERIES)
            if UID.fullmatch(series_uid):
                shown = [_text(series, tag) for tag in (_MODALITY, _DESCRIPTION, _IMAGES)]
                patient, day = _text(study, _PATIENT_NAME), _text(study, _DAY)
                found.append(FoundSeries(study_uid, series_uid, patient, day, *shown))
    return sorted(found, key=lambda each: (each.day, each.study_uid, each.series_uid))


def instances_of(web: Web, study_uid: str, series_uid: str, most: int) -> list[str]:
    """The SOPInstanceUIDs of a series; of servers that give them page by page all.

    Raises:
        Unreachable, Refused: see `Web`; also where there are more than `most`, or none.
    """
    found: dict[str, None] = {}
    while True:
        page = web.json(
            f"studies/{study_uid}/series/{series_uid}/instances", {"offset": str(len(found))}
        )
        new = [uid for uid in (_text(each, _INSTANCE) for each in page) if UID.fullmatch(uid)]
        before = len(found)
        found |= dict.fromkeys(new)
        if len(found) > most:
            raise Refused(
                f"the series have more than {most} images.", where="archive",
                fix="fetch fewer at a time ([uploads] max_files in platform.toml is the limit).",
            )  # fmt: skip
        if len(found) == before:
            break
    if not found:
        raise Refused("it has no such series any more.", fix="search again.")
    return list(found)


def fetch_instance(web: Web, path: str, uid: str, target: Path, most_bytes: int) -> int:
    """Write an object as it is in the archive into a file; its size.

    Args:
        web: of the archive.
        path: of the object, below the archive's address.
        uid: its SOPInstanceUID.
        target: gets it, whole or not at all.
        most_bytes: that it may be.

    Raises:
        Unreachable, Refused: see `Web`; also where another object or none comes.

    Source: DICOM PS3.18, section 10.4.
    """
    coming, part = target.with_suffix(".coming"), target.with_suffix(".part")
    try:
        kind = web.download(path, _ACCEPT, coming, most_bytes + (1 << 16))
        n_parts = 0
        for content in _parts(coming, kind):
            n_parts += 1
            part.write_bytes(content)
        if n_parts != 1 or not _is_object(part, uid):
            raise Refused(
                "it gave something else than the object that was asked for.", where="archive",
                fix="see whether url in platform.toml is that of its DICOMweb services.",
            )  # fmt: skip
        part.replace(target)
    finally:
        coming.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _is_object(path: Path, uid: str) -> bool:
    with without_patient_data_in_logs():
        try:
            return str(read_file_meta_info(path).get("MediaStorageSOPInstanceUID", "")) == uid
        except (InvalidDicomError, EOFError, ValueError, TypeError, OverflowError):
            return False


def _parts(path: Path, kind: str) -> Iterator[bytes]:
    """The parts of a body in a file; of one that is no multipart the whole.

    Source: RFC 2046, section 5.1.1.
    """
    header = Message()
    header["Content-Type"] = kind
    boundary = header.get_boundary()
    if header.get_content_maintype() != "multipart" or not boundary:
        yield path.read_bytes()
        return
    if path.stat().st_size == 0:
        return
    mark = b"--" + boundary.encode("latin-1", "replace")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        start = body.find(mark)
        while start >= 0:
            start += len(mark)
            if body[start : start + 2] == b"--":
                return
            begin, end = body.find(b"\r\n\r\n", start), body.find(b"\r\n" + mark, start)
            if begin < 0 or end < begin:  # cut off
                return
            yield body[begin + 4 : end]
            start = end + 2


def _text(item: dict[str, Any], tag: str) -> str:
    """The first value of an element in DICOM JSON as text; empty where there is none."""
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    first = values[0] if isinstance(values, list) and values else ""
    if isinstance(first, dict):  # a person's name
        first = first.get("Alphabetic", "")
    return str(first).strip()[:200] if isinstance(first, str | int) else ""
