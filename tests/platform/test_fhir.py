"""FHIR of a scan: valid by an independent model of the standard, and of the right person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.imagingstudy import ImagingStudy
from platform_world import Hospital, hospital
from sending_world import KINDS, with_objects

from covidlit.platform.accounts.rights import Role
from covidlit.platform.registry.models import Labelling
from covidlit.platform.sending.dicom_objects import objects_of

pytestmark = pytest.mark.django_db

# R4B is R4 with changes to other resources than these, and what the package still has.


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


@pytest.fixture
def labelling(own: Hospital) -> Labelling:
    return with_objects(own.scans[0])


def get(own: Hospital, role: Role, name: str) -> dict[str, Any]:
    answer = own.client(role).get(reverse(name, kwargs={"pk": own.scans[0].pk}))
    assert answer["Content-Type"] == "application/fhir+json"
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_factors_are_observations_with_units(own: Hospital, labelling: Labelling) -> None:
    report = get(own, Role.READER, "fhir_report")
    DiagnosticReport.model_validate(report)
    assert report["subject"]["identifier"]["value"] == "P-north"
    assert report["effectiveDateTime"] == "2020-03-01"
    values = {
        each["id"]: (each["valueQuantity"]["value"], each["valueQuantity"]["code"])
        for each in report["contained"]
    }
    assert values == {
        "n-lesions": (1, "1"),
        "total-volume-ml": (10.0, "mL"),
        "proportion-percent": (0.25, "%"),
        "mean-density-hu": (-400.0, "[hnsf'U]"),
    }
    assert [each["reference"] for each in report["result"]] == [f"#{name}" for name in values]
    text = json.dumps(report).lower()
    assert "secret" not in text
    assert "1.2.3" not in text


def test_a_study_lists_scan_and_objects(own: Hospital, labelling: Labelling) -> None:
    plain = get(own, Role.READER, "fhir_study")
    known = get(own, Role.PHYSICIAN, "fhir_study")
    for study in (plain, known):
        ImagingStudy.model_validate(study)
        assert study["numberOfSeries"] == len(study["series"]) == 1 + len(KINDS)
        assert study["numberOfInstances"] == own.scans[0].n_slices + len(KINDS)
        assert study["series"][0]["modality"]["code"] == "CT"
    assert known["identifier"][0]["value"] == "urn:oid:1.2.3"
    uids = {each["uid"] for s in known["series"] for each in s.get("instance", [])}
    assert uids == {each.sop_instance_uid for each in objects_of(labelling)}
    assert known["subject"]["identifier"]["value"] == "secret-north"
    assert not any(uid in json.dumps(plain) for uid in uids)
    assert plain["subject"]["identifier"]["value"] == "P-north"
    report = get(own, Role.READER, "fhir_report")
    assert report["imagingStudy"][0]["identifier"] == plain["identifier"][0]


def test_a_scan_that_was_not_measured_has_no_report(own: Hospital) -> None:
    labelling = with_objects(own.scans[0])
    labelling.lesions.all().delete()
    labelling.delete()
    client = own.client(Role.READER)
    assert client.get(reverse("fhir_report", kwargs={"pk": own.scans[0].pk})).status_code == 404
    ImagingStudy.model_validate(get(own, Role.READER, "fhir_study"))
