"""Data sets in DICOM JSON, as searches and metadata give them.

Source: DICOM PS3.18, annex F, and section 10.6.3 for what a search tells.
"""

from __future__ import annotations

import json
import math
from typing import Any

from django.http import HttpRequest, HttpResponse
from pydicom import Dataset

from covidlit.dicom.out.source import without_patient_data_in_logs
from covidlit.platform.dicomweb.deidentify import shown_uid
from covidlit.platform.dicomweb.models import StoredSeries

DICOM_JSON = "application/dicom+json"
Item = dict[str, Any]


def as_json(data: Dataset) -> Item:
    """A data set, without bytes; values that JSON has not are left out."""
    with without_patient_data_in_logs():
        found: Item = data.to_json_dict(bulk_data_threshold=1 << 40, suppress_invalid_tags=True)
    return {tag: element for tag, element in found.items() if _is_told(element)}


def told(items: list[Item], warning: str = "") -> HttpResponse:
    """The answer to a search."""
    headers = {"Warning": f'299 covidlit "{warning}"'} if warning else {}
    return HttpResponse(json.dumps(items), content_type=DICOM_JSON, headers=headers)


def uids_of(series: StoredSeries) -> tuple[str, str]:
    """Study and series, as the caller sees them."""
    if series.identified:  # annotated, see `seen`
        return series.study_uid, series.series_uid
    return series.study_pseudonym, series.series_pseudonym


def study_item(request: HttpRequest, own: list[StoredSeries]) -> Item:
    """A study, by its series; a patient is named by pseudonym whoever asks."""
    study, _ = uids_of(own[0])
    pseudonym = own[0].scan.patient.pseudonym
    return {
        **element("00080020", "DA", own[0].study_date),
        **element("00080030", "TM"),
        **element("00080050", "SH"),
        **element("00080056", "CS", "ONLINE"),
        **element("00080061", "CS", *sorted({each.modality for each in own if each.modality})),
        **element("00080090", "PN"),
        **element("00081190", "UR", address(request, study)),
        **element("00100010", "PN", {"Alphabetic": pseudonym}),
        **element("00100020", "LO", pseudonym),
        **element("00100030", "DA"),
        **element("00100040", "CS"),
        **element("0020000D", "UI", study),
        **element("00200010", "SH"),
        **element("00201206", "IS", len(own)),
        **element("00201208", "IS", sum(each.n_instances for each in own)),
    }


def series_item(request: HttpRequest, own: StoredSeries) -> Item:
    """A series."""
    study, series = uids_of(own)
    return {
        **element("00080056", "CS", "ONLINE"),
        **element("00080060", "CS", own.modality),
        **element("0008103E", "LO", own.description),
        **element("00081190", "UR", address(request, study, series)),
        **element("0020000D", "UI", study),
        **element("0020000E", "UI", series),
        **element("00200011", "IS", own.number),
        **element("00201209", "IS", own.n_instances),
    }


def instance_items(request: HttpRequest, own: StoredSeries) -> list[Item]:
    """The objects of a series."""
    study, series = uids_of(own)
    identified: bool = own.identified  # annotated, see `seen`
    found = []
    for each in own.instances:
        uid = each.uid if identified else shown_uid(each.uid)
        image = {
            **element("00280008", "IS", each.frames),
            **element("00280010", "US", each.rows),
            **element("00280011", "US", each.columns),
            **element("00280100", "US", each.bits),
        }
        found.append(
            {
                **element("00080016", "UI", each.sop_class),
                **element("00080018", "UI", uid),
                **element("00080056", "CS", "ONLINE"),
                **element("00081190", "UR", address(request, study, series, uid)),
                **element("0020000D", "UI", study),
                **element("0020000E", "UI", series),
                **element("00200013", "IS", each.number),
                **(image if each.frames else {}),
            }
        )
    return found


def address(request: HttpRequest, study: str, series: str = "", uid: str = "") -> str:
    """Where a study, a series or an object is retrieved."""
    path = f"/dicom-web/studies/{study}"
    path += f"/series/{series}" if series else ""
    return request.build_absolute_uri(path + (f"/instances/{uid}" if uid else ""))


def element(tag: str, vr: str, *values: Any) -> Item:
    """An element; without a value an empty one."""
    there = [each for each in values if each not in ("", None)]
    return {tag: {"vr": vr, "Value": there} if there else {"vr": vr}}


def _is_told(element: Any) -> bool:
    """Whether an element of JSON is one: no bytes, and no number that is none."""
    if "InlineBinary" in element or "BulkDataURI" in element:
        return False
    for value in element.get("Value", ()):
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if isinstance(value, dict) and element["vr"] == "SQ":
            for tag in [tag for tag, own in value.items() if not _is_told(own)]:
                del value[tag]
    return True
