"""Results as FHIR R4: the factors as a DiagnosticReport, scan and objects as an ImagingStudy.

Numbers of patients and unique identifiers of DICOM lead to a person, so they stand in it for those
who may know; for others there are the pseudonym, and hashes that are the same for the same UID.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.http import Http404
from pydicom.filereader import read_partial

from covidlit.dicom import pseudonym_uid
from covidlit.dicom.out.source import without_patient_data_in_logs
from covidlit.dicom.out.terms import SCAN_TERMS, FactorTerms
from covidlit.platform.registry.files import source_files
from covidlit.platform.registry.models import Identity, Labelling, Scan
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.version import __version__

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_UCUM = "http://unitsofmeasure.org"
_SYSTEMS = {"SCT": "http://snomed.info/sct", "DCM": _DCM}
"""Coding schemes that have an address in FHIR; terms of others are given in words."""

_IDENTIFIER_KINDS = "http://terminology.hl7.org/CodeSystem/v2-0203"
_LAST_READ = 0x0020000E  # SeriesInstanceUID
Resource = dict[str, Any]


class _Header(NamedTuple):
    study_uid: str
    series_uid: str
    modality: str
    sop_class: str
    sop_instance_uid: str


def diagnostic_report(labelling: Labelling, identity: Identity | None) -> Resource:
    """The factors of a labelling; those that are undefined are left out.

    Args:
        labelling: of a scan.
        identity: who the patient is; None: the pseudonym stands for him.

    Source: HL7 FHIR R4, DiagnosticReport and Observation.
    """
    scan = labelling.scan
    about: Resource = {"subject": _subject(scan, identity)}
    if scan.acquired_on is not None:
        about["effectiveDateTime"] = _day(scan.acquired_on)
    observations = [
        _observation(name, terms, labelling.factors[name], about, labelling.labelled_by)
        for name, terms in SCAN_TERMS.items()
        if labelling.factors.get(name) is not None
    ]
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",  # nobody has signed it
        "category": [_coded("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")],
        "code": _coded("http://loinc.org", "18748-4", "Diagnostic imaging study"),
        **about,
        "issued": labelling.made_at.isoformat(timespec="seconds"),
        "performer": [{"display": f"covidlit {__version__}, {labelling.labelled_by}"}],
        "conclusion": f"{_title(labelling.disease)}, on chest CT: quantitative factors. For "
        "research, not for clinical use.",
    }
    if observations:
        report["contained"] = observations
        report["result"] = [{"reference": f"#{each['id']}"} for each in observations]
    if (header := _header_of_scan(scan)) is not None:
        report["imagingStudy"] = [{"identifier": _study_identifier(header, _told(identity))}]
    return report


def imaging_study(scan: Scan, labelling: Labelling | None, identity: Identity | None) -> Resource:
    """A scan's series, and those of the objects of a labelling of it.

    Args:
        scan: whose series.
        labelling: whose objects; None: the series of the scan alone.
        identity: who the patient is; None: the pseudonym stands for him.

    Raises:
        Http404: its files are not there.

    Source: HL7 FHIR R4, ImagingStudy.
    """
    told = _told(identity)
    header = _header_of_scan(scan)
    if header is None:
        raise Http404
    series = {header.series_uid: _series(header, told, scan.n_slices)}
    for each in objects_of(labelling) if labelling is not None else []:
        own = _read_header(each.path)
        found = series.setdefault(own.series_uid, {**_series(own, told, 0), "instance": []})
        found["numberOfInstances"] += 1
        found["instance"].append(
            {
                "uid": told(own.sop_instance_uid),
                "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{own.sop_class}"},
            }
        )
    study: Resource = {
        "resourceType": "ImagingStudy",
        "identifier": [_study_identifier(header, told)],
        "status": "available",
        "subject": _subject(scan, identity),
        "numberOfSeries": len(series),
        "numberOfInstances": sum(each["numberOfInstances"] for each in series.values()),
        "series": list(series.values()),
    }
    if scan.acquired_on is not None:
        study["started"] = _day(scan.acquired_on)
    return study


def _observation(
    name: str, terms: FactorTerms, value: float, about: Resource, labelled_by: str
) -> Resource:
    code: Resource = {"text": terms.label}
    if terms.name.scheme_designator in _SYSTEMS:
        system = _SYSTEMS[terms.name.scheme_designator]
        code |= _coded(system, terms.name.value, terms.name.meaning)
    quantity: Resource = {"value": value, "system": _UCUM, "code": terms.unit.value}
    if terms.unit_label:
        quantity["unit"] = terms.unit_label
    return {
        "resourceType": "Observation",
        "id": name.replace("_", "-"),
        "status": "preliminary",
        "code": code,
        **about,
        "valueQuantity": quantity,
        "device": {"display": labelled_by},
    }


def _title(disease: str) -> str:
    own = settings.FOLDER.diseases.get(disease)
    return disease if own is None else str(own.title)


def _subject(scan: Scan, identity: Identity | None) -> Resource:
    kind, value = ("ANON", scan.patient.pseudonym)
    if identity is not None:
        kind, value = ("MR", identity.hospital_id)
    identifier = {"type": {"coding": [{"system": _IDENTIFIER_KINDS, "code": kind}]}, "value": value}
    subject: Resource = {"type": "Patient", "identifier": identifier}
    if identity is not None and identity.name:
        subject["display"] = identity.name
    return subject


def _coded(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _series(header: _Header, told: Callable[[str], str], n_instances: int) -> Resource:
    return {
        "uid": told(header.series_uid),
        "modality": {"system": _DCM, "code": header.modality},
        "numberOfInstances": n_instances,
    }


def _study_identifier(header: _Header, told: Callable[[str], str]) -> Resource:
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{told(header.study_uid)}"}


def _told(identity: Identity | None) -> Callable[[str], str]:
    """How a UID is written, for one who may know whose it is or not."""
    return pseudonym_uid if identity is None else str


def _day(day: date) -> str:
    return day.isoformat()


def _header_of_scan(scan: Scan) -> _Header | None:
    files = sorted(source_files(scan).glob("*.dcm"))
    return _read_header(files[0]) if files else None


def _read_header(path: Path) -> _Header:
    with path.open("rb") as file, without_patient_data_in_logs():
        found = read_partial(file, stop_when=lambda tag, vr, length: tag > _LAST_READ)
        names = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SOPClassUID")
        return _Header(*(str(found.get(name, "")) for name in (*names, "SOPInstanceUID")))
