"""Files of a scan and of its newest labelling looked into, once."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from pydicom import Dataset, dcmread

from covidlit.dicom import pseudonym_uid
from covidlit.dicom.out.source import without_patient_data_in_logs
from covidlit.platform.dicomweb.kept import IMAGES_AND_REPORTS
from covidlit.platform.dicomweb.models import MOST_UID, Instance, StoredSeries, Waiting
from covidlit.platform.registry.files import source_files
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.sending.dicom_objects import OBJECTS

log = logging.getLogger(__name__)

_SECONDS = 5.0
"""That a request spends on scans that nobody has looked into yet."""

_READ = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate",
    "Modality", "SeriesNumber", "SeriesDescription", "InstanceNumber", "Rows", "Columns",
    "NumberOfFrames", "BitsAllocated",
]  # fmt: skip


class _Key(NamedTuple):
    """What tells a series from others."""

    study_uid: str
    series_uid: str


def files_of(series: StoredSeries) -> Path:
    """The folder in which the files of a series lie."""
    if series.labelling is not None:
        return Path(settings.FOLDER.results / series.labelling.folder / OBJECTS)
    return source_files(series.scan)


def look_into(scan: Scan) -> None:
    """Read the headers of a scan and of the objects of its newest labellings into rows.

    Files without the UIDs that lead to them are left out; done again it is as done once.
    """
    waiting = list(Waiting.objects.filter(scan=scan).values_list("pk", flat=True))
    labellings = _labellings(scan)
    found = _series_in(source_files(scan), scan, None)
    for each in {each.disease: each for each in labellings}.values():
        found += _series_in(settings.FOLDER.results / each.folder / OBJECTS, scan, each)
    with transaction.atomic():
        # One after the other: the row of the scan is locked until the transaction is over.
        if not Scan.objects.select_for_update().filter(pk=scan.pk).exists():
            return
        if _labellings(scan) != labellings:
            return  # it waits again, with the version that has come meanwhile
        StoredSeries.objects.filter(scan=scan).delete()
        StoredSeries.objects.bulk_create(found)
        Waiting.objects.filter(pk__in=waiting).delete()


def look_into_new() -> bool:
    """Look into scans that nobody has looked into since they changed, for some seconds.

    Whoever stores them does it at once; this is for those of a process that was lost.

    Returns:
        Whether all have been looked into.
    """
    last = time.monotonic() + _SECONDS
    keys = Waiting.objects.order_by("-scan").values_list("scan", flat=True).distinct()
    for key in list(keys[:1000]):
        if time.monotonic() > last:
            return False
        if (scan := Scan.objects.filter(pk=key).first()) is not None:
            look_into(scan)
    return True


def _labellings(scan: Scan) -> list[Labelling]:
    return list(scan.labellings.order_by("version"))


def _series_in(folder: Path, scan: Scan, labelling: Labelling | None) -> list[StoredSeries]:
    headers: dict[_Key, list[tuple[Dataset, Instance]]] = defaultdict(list)
    for path in sorted(folder.glob("*.dcm")):
        header = _read(path)
        if header is None:
            log.warning("A file of scan %s has no UIDs that lead to it.", scan.pk)
            continue
        key = _Key(str(header.StudyInstanceUID), str(header.SeriesInstanceUID))
        headers[key].append((header, _instance(header, path.name)))
    return [_row(key, own, scan, labelling) for key, own in headers.items()]


def _row(
    key: _Key, own: list[tuple[Dataset, Instance]], scan: Scan, labelling: Labelling | None
) -> StoredSeries:
    first = own[0][0]
    # The same object twice in a scan's files is one.
    content = list({each.uid: each for _, each in own}.values())
    content.sort(key=lambda each: (each.number is None, each.number or 0, each.file))
    return StoredSeries(
        scan=scan,
        labelling=labelling,
        study_uid=key.study_uid,
        series_uid=key.series_uid,
        study_pseudonym=pseudonym_uid(key.study_uid),
        series_pseudonym=pseudonym_uid(key.series_uid),
        study_date=_date(first),
        modality=_text(first, "Modality")[:16],
        number=_whole(first, "SeriesNumber"),
        description=_text(first, "SeriesDescription")[:64] if labelling is not None else "",
        names_patient=any(each.sop_class not in IMAGES_AND_REPORTS for each in content),
        n_instances=len(content),
        content=content,
    )


def _read(path: Path) -> Dataset | None:
    with without_patient_data_in_logs():
        try:
            header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=_READ)
            uids = [str(header.get(name) or "").strip() for name in _READ[:4]]
        except Exception:  # pydicom may raise nearly anything
            return None
    is_well = all(each and each.isprintable() and len(each) <= MOST_UID for each in uids)
    return header if is_well else None


def _instance(header: Dataset, file: str) -> Instance:
    rows, columns = (_whole(header, name) or 0 for name in ("Rows", "Columns"))
    frames = max(1, _whole(header, "NumberOfFrames") or 1) if rows and columns else 0
    return Instance(
        str(header.SOPInstanceUID), str(header.SOPClassUID), file,
        _whole(header, "InstanceNumber"), rows, columns, frames,
        _whole(header, "BitsAllocated") or 0,
    )  # fmt: skip


def _date(header: Dataset) -> str:
    found = _text(header, "StudyDate")
    return found if len(found) == 8 and found.isascii() and found.isdecimal() else ""


def _text(header: Dataset, name: str) -> str:
    try:
        return str(header.get(name) or "").strip().replace("\0", "")
    except Exception:  # pydicom may raise nearly anything on a damaged value
        return ""


def _whole(header: Dataset, name: str) -> int | None:
    try:
        value: Any = header.get(name)
        found = None if value is None else int(value)
    except Exception:  # pydicom may raise nearly anything on a damaged value
        return None
    return found if found is not None and abs(found) < 1 << 31 else None
