"""QIDO-RS: studies, series and objects that a caller sees.

Source: DICOM PS3.18, section 10.6.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Any

from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse

from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import ScopedQuerySet
from covidlit.platform.api.authenticate import Caller
from covidlit.platform.dicomweb.accept import choose
from covidlit.platform.dicomweb.answers import (
    DICOM_JSON,
    Item,
    instance_items,
    series_item,
    study_item,
    told,
)
from covidlit.platform.dicomweb.gate import service
from covidlit.platform.dicomweb.index import look_into_new
from covidlit.platform.dicomweb.models import StoredSeries
from covidlit.platform.dicomweb.query import (
    Query,
    days,
    empty,
    like,
    one_of,
    read_query,
)
from covidlit.platform.dicomweb.seen import of_uids, series_seen

_OF_STUDY = {
    "StudyInstanceUID": one_of("study_uid", "study_pseudonym"),
    "StudyDate": days("study_date"),
    "PatientID": like("scan__patient__pseudonym"),
    "PatientName": like("scan__patient__pseudonym"),
    "AccessionNumber": empty,
    "StudyID": empty,
    "ReferringPhysicianName": empty,
    "PatientBirthDate": empty,
}
_OF_SERIES = {
    "SeriesInstanceUID": one_of("series_uid", "series_pseudonym"),
    "Modality": like("modality"),
}
_COUNTED = ("00080061", "00201206", "00201208")
_OF_INSTANCE = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")
_TAGS = {"SOPInstanceUID": "00080018", "SOPClassUID": "00080016", "InstanceNumber": "00200013"}


@service(Right.VIEW)
def studies(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Studies, the newest first."""
    choose(request, [DICOM_JSON, "application/json"])
    query = read_query(request.GET, {**_OF_STUDY, **_OF_SERIES, "ModalitiesInStudy": None})
    look_into_new()
    rows = series_seen(caller)
    found = _matched(rows, query)
    if (modality := query.wanted.get("ModalitiesInStudy")) is not None:
        found = found.filter(like("modality")(modality))
    keys = (
        found.order_by().values("study_uid", "scan__patient_id").annotate(day=Max("study_date"))
        .order_by("-day", "study_uid", "scan__patient_id")
    )  # fmt: skip
    page = list(keys[query.offset : query.offset + query.limit + 1])
    wanted = [(each["study_uid"], each["scan__patient_id"]) for each in page[: query.limit]]
    of_study: dict[tuple[str, int], list[StoredSeries]] = defaultdict(list)
    uids = {study for study, _ in wanted}
    for each in _told_of(rows.filter(study_uid__in=uids)):
        of_study[each.study_uid, each.scan.patient_id].append(each)
    items = [study_item(request, of_study[key]) for key in wanted if key in of_study]
    return told(items, query.with_more(len(page) > query.limit))


@service(Right.VIEW)
def series(request: HttpRequest, caller: Caller, study: str = "") -> HttpResponse:
    """Series of a study, or of all."""
    choose(request, [DICOM_JSON, "application/json"])
    query = read_query(request.GET, {**_OF_STUDY, **_OF_SERIES})
    look_into_new()
    rows = _in(series_seen(caller), study)
    page = _told_of(_matched(rows, query))
    found = list(page.order_by("pk")[query.offset : query.offset + query.limit + 1])
    items = [series_item(request, each) for each in found[: query.limit]]
    if not study:
        items = [
            {**_study_of(request, own), **item} for own, item in zip(found, items, strict=False)
        ]
    return told(items, query.with_more(len(found) > query.limit))


@service(Right.VIEW)
def instances(request: HttpRequest, caller: Caller, study: str, series: str = "") -> HttpResponse:
    """Objects of a study or a series."""
    choose(request, [DICOM_JSON, "application/json"])
    known: dict[str, Any] = {**_OF_STUDY, **_OF_SERIES, **dict.fromkeys(_OF_INSTANCE)}
    query = read_query(request.GET, known)
    look_into_new()
    rows = _in(series_seen(caller), study, series)
    found = (
        item
        for own in _matched(rows, query).select_related("scan__patient").order_by("pk")
        for item in instance_items(request, own)
        if _is_wanted(item, query)
    )
    items = list(islice(found, query.offset, query.offset + query.limit + 1))
    return told(items[: query.limit], query.with_more(len(items) > query.limit))


def _study_of(request: HttpRequest, own: StoredSeries) -> Item:
    """What a series tells of its study, whose other series were not asked for."""
    whole = study_item(request, [own])
    return {tag: whole[tag] for tag in whole if tag not in _COUNTED}


def _in(
    rows: ScopedQuerySet[StoredSeries], study: str, series: str = ""
) -> ScopedQuerySet[StoredSeries]:
    """Those of a study and series that are named.

    Raises:
        Http404: there are none that the caller may see.
    """
    found = of_uids(rows, study, series)
    if study and not found.exists():
        raise Http404
    return found


def _matched(rows: ScopedQuerySet[StoredSeries], query: Query) -> ScopedQuerySet[StoredSeries]:
    for keyword, matching in {**_OF_STUDY, **_OF_SERIES}.items():
        if keyword in query.wanted:
            rows = rows.filter(matching(query.wanted[keyword]))
    return rows


def _told_of(rows: ScopedQuerySet[StoredSeries]) -> ScopedQuerySet[StoredSeries]:
    """Without the lists of their objects, which are not told."""
    return rows.select_related("scan__patient").defer("content")


def _is_wanted(item: Item, query: Query) -> bool:
    for keyword, tag in _TAGS.items():
        value = query.wanted.get(keyword)
        if not value:
            continue
        own = [str(each) for each in item[tag].get("Value", [])]
        if not set(value.replace("\\", ",").split(",")) & set(own):
            return False
    return True
