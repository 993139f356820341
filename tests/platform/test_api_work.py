"""Corrections, clinical values, severity, sendings and exports by the API: as the pages do them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from correcting_world import Ward, say, ward
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from platform_world import Hospital, hospital
from sending_world import set_archives, web_archive, with_objects, write_object
from test_platform_clinical import content, done, number

from covidlit.lesions.report.severity import ScoredValue, Severity
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.clinical.models import ClinicalTable, SeverityScore
from covidlit.platform.correcting.models import Correction
from covidlit.platform.exporting.training_set import export
from covidlit.platform.intake.form_files import MOST_BYTES
from covidlit.platform.jobs.models import Job
from covidlit.platform.measuring.correct import correct
from covidlit.platform.pacs.settings import DicomwebArchive
from covidlit.platform.patients.report import report_path
from covidlit.platform.sending.models import Sending
from covidlit.platform.sending.send import send

pytestmark = pytest.mark.django_db
ROOT = "/api/v1"


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def get(client: Client, path: str, status: int = 200) -> Any:
    answer = client.get(f"{ROOT}{path}")
    assert answer.status_code == status, answer.content
    return answer.json()


def post(client: Client, path: str, body: Any = None, status: int = 200) -> Any:
    answer = client.post(f"{ROOT}{path}", body, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What an archive of centre north has stored."""
    with web_archive() as server:
        own = DicomwebArchive(kind="dicomweb", name="pacs", url=server.address, centres=["north"])
        other = DicomwebArchive(kind="dicomweb", name="far", url=server.address, centres=["south"])
        set_archives(monkeypatch, own, other)
        yield server.stored


def test_what_was_seen_is_what_is_sent(own: Hospital, archive: dict[str, bytes]) -> None:
    client, scan = own.client(Role.PHYSICIAN), own.scans[0]
    labelling = with_objects(scan)
    seen = get(client, f"/scans/{scan.pk}/sendable")
    assert [each["name"] for each in seen["archives"]] == ["pacs"]
    assert [each["name"] for each in seen["objects"]] == [
        "classes.dcm",
        "factors.dcm",
        "report.dcm",
    ]
    chosen = [{k: each[k] for k in ("sop_instance_uid", "sha256")} for each in seen["objects"][:2]]
    body = {"labelling": seen["labelling"], "archive": "pacs", "objects": chosen}
    path = f"/scans/{scan.pk}/sendings"
    made = post(client, path, body, 201)
    assert post(client, path, body, 201)["id"] == made["id"]  # on its way
    assert [each["state"] for each in made["objects"]] == ["waiting", "waiting"]
    assert Entry.objects.filter(action="confirmed a sending").count() == 1
    send(Job.objects.get(pk=made["job"]["id"]), say)
    assert set(archive) == {each["sop_instance_uid"] for each in chosen}
    found = get(client, f"/sendings/{made['id']}")
    assert [each["state"] for each in found["objects"]] == ["sent", "sent"]
    assert found["confirmed_by"] == "north-physician"
    assert [each["id"] for each in get(client, "/sendings")["rows"]] == [made["id"]]

    assert post(client, path, {**body, "archive": "far"}, 403)["status"] == 403
    write_object(settings.FOLDER.results / labelling.folder / "dicom" / "extra.dcm", "1.2.3")
    other = {**body, "objects": [{**chosen[0], "sha256": "0" * 64}]}
    assert "another one than was seen" in post(client, path, other, 409)["what"]
    gone = {**body, "objects": [*chosen, {"sop_instance_uid": "1.9.9", "sha256": "0" * 64}]}
    assert "not all that were" in post(client, path, gone, 409)["what"]
    assert "newer version" in post(client, path, {**body, "labelling": 0}, 409)["what"]
    assert Sending.objects.count() == 1


def test_what_failed_is_tried_again_once_it_is_over(
    own: Hospital, archive: dict[str, bytes]
) -> None:
    client, scan = own.client(Role.PHYSICIAN), own.scans[0]
    with_objects(scan)
    seen = get(client, f"/scans/{scan.pk}/sendable")
    chosen = [{k: each[k] for k in ("sop_instance_uid", "sha256")} for each in seen["objects"]]
    body = {"labelling": seen["labelling"], "archive": "pacs", "objects": chosen}
    made = post(client, f"/scans/{scan.pk}/sendings", body, 201)
    assert post(client, f"/sendings/{made['id']}/again")["job"] == made["job"]  # not over yet
    Job.objects.filter(pk=made["job"]["id"]).update(state="failed")
    again = post(client, f"/sendings/{made['id']}/again")
    assert again["job"]["id"] != made["job"]["id"]
    send(Job.objects.get(pk=again["job"]["id"]), say)
    assert len(archive) == 3


def test_a_table_is_brought_in_read_and_withdrawn(own: Hospital) -> None:
    number(own, "H-1")
    client = own.client(Role.PHYSICIAN)
    given = {"centre": "north", "study_group": "clinic"}
    form = {**given, "table": SimpleUploadedFile("labs.csv", content())}
    answer = client.post(f"{ROOT}/clinical/tables", form)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["owner"], made["n_rows"]) == ("north-physician", 0)
    assert made["job"]["kind"] == "read a clinical table"
    path = f"/clinical/tables/{made['id']}"
    assert "being read" in post(client, f"{path}/withdraw", status=409)["what"]
    done(ClinicalTable.objects.get(pk=made["id"]))
    found = get(client, path)
    assert (found["n_patients"], found["n_unknown"]) == (1, 1)
    assert found["said"] is not None
    assert get(own.client(Role.ADMINISTRATOR), path)["said"] is None

    of_patient = f"/patients/{own.patient.pseudonym}/clinical"
    known = get(own.client(Role.READER), of_patient)
    assert known["about"] == ["61 years", "female"]
    by_name = {each["feature"]: each for each in known["courses"]}
    assert by_name["haemoglobin_g_per_l"]["values"][-1] == {"day": "2020-03-09", "value": 95.0}
    events = {each["day"]: each["what"] for each in known["events"]}
    assert events["2020-02-28"] == "admission"
    assert events["2020-03-20"] == "survived"
    assert post(client, f"{path}/withdraw")["withdrawn_at"] is not None
    post(client, f"{path}/withdraw")
    assert Entry.objects.filter(action="withdrew").count() == 1
    assert get(client, of_patient) == {"about": [], "courses": [], "events": []}

    for wrong in ({"mapping": "../x"}, {"table": SimpleUploadedFile("labs.exe", b"x")}):
        file = {"table": SimpleUploadedFile("labs.csv", content())}
        answer = client.post(f"{ROOT}/clinical/tables", {**given, **file, **wrong})
        assert answer.status_code == 400
    elsewhere = {**given, "centre": "south", "table": SimpleUploadedFile("labs.csv", b"x")}
    assert client.post(f"{ROOT}/clinical/tables", elsewhere).status_code == 403
    large = client.generic(
        "POST", f"{ROOT}/clinical/tables", b"--x--", "multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(MOST_BYTES + 1),
    )  # fmt: skip
    assert large.status_code == 413
    assert ClinicalTable.objects.count() == 2  # with the hospital's own


def test_severity_comes_with_its_interval_and_what_made_it(own: Hospital) -> None:
    client, scan = own.client(Role.READER), own.scans[0]
    assert get(client, f"/scans/{scan.pk}/severity") is None
    values = (
        ScoredValue("a", "Lesions", "mL", 12.0, 0.9, "", 1.5),
        ScoredValue("b", "Haemoglobin", "g/L", None, None, "", -0.5, 0.25),
    )
    row = {"score": 0.81, "score_low": 0.7, "score_high": 0.9, "operating_point": 0.5,
           "predicted_class": "severe", "other": float("nan")}  # fmt: skip
    kept = Severity(row, values, 0.2, "severe illness", "a network", ("One line.",))
    plain = json.loads(json.dumps(asdict(kept)))
    plain["row"]["other"] = None
    SeverityScore.objects.create(labelling=scan.labellings.get(), severity=plain)
    found = get(client, f"/scans/{scan.pk}/severity")
    assert (found["score"], found["low"], found["high"]) == (0.81, 0.7, 0.9)
    assert found["called"].startswith("severe: at or above 0.500")
    assert [each["contribution"] for each in found["values"]] == [1.5, -0.5]
    assert (found["missing"], found["notes"]) == (["Haemoglobin"], ["One line."])
    SeverityScore.objects.create(labelling=scan.labellings.get(), severity={})  # withdrawn
    assert get(client, f"/scans/{scan.pk}/severity") is None


def test_a_report_is_given_as_a_file_apart_from_the_platform(own: Hospital) -> None:
    client = own.client(Role.READER)
    assert get(client, "/patients/P-north/report.html", 404)
    path = report_path(own.patient, settings.FOLDER.diseases["covid-19"])
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text("<script>1</script>")
        answer = client.get(f"{ROOT}/patients/P-north/report.html")
    finally:
        path.unlink()
    assert answer.content == b"<script>1</script>"
    assert answer["Content-Security-Policy"].startswith("sandbox")
    assert answer["Content-Disposition"].startswith("attachment")
    assert Entry.objects.filter(action="looked at", subject="report of P-north").count() == 1


SQUARE = [[20.0, 20.0], [30.0, 20.0], [30.0, 30.0], [20.0, 30.0]]


def test_lesions_are_corrected_and_make_a_training_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    west: Ward = ward(monkeypatch)
    _, client = west.person("anna")
    _, other = west.person("bert")
    scan = west.scans[0]
    path = f"/scans/{scan.pk}/draft"
    assert get(client, path) is None
    assert "begin one" in post(client, f"{path}/save", status=409)["fix"]
    begun = post(client, path, status=201)
    assert (begun["version"], begun["edits"], begun["is_old"]) == (1, [], False)
    assert post(client, path, status=201)["id"] == begun["id"]
    assert get(other, path) is None  # a draft is its author's alone
    assert "no edit" in post(client, f"{path}/save", status=409)["what"]
    drawn = {"kind": "new", "class_name": "fibrosis", "slice_index": 8, "contour": SQUARE}
    made = post(client, f"{path}/edits", drawn, 201)
    assert made["effect"]["more"] == 100  # the pixels whose centres are inside
    lesion = made["edit"]["lesion"]
    post(client, f"{path}/edits", {"kind": "clear", "lesion": lesion, "slice_index": 8}, 201)
    assert len(post(client, f"{path}/undo")["edits"]) == 1
    for wrong, where in (
        ({**drawn, "contour": SQUARE[:2]}, "contour"),
        ({**drawn, "class_name": "lung"}, "class_name"),
        ({**drawn, "slice_index": scan.n_slices}, "slice_index"),
        ({"kind": "remove"}, "lesion"),
        ({**drawn, "kind": "add"}, "lesion"),
    ):  # fmt: skip
        assert post(client, f"{path}/edits", wrong, 422)["where"] == where
    post(other, path, status=201)
    post(other, f"{path}/edits", {**drawn, "class_name": "consolidation"}, 201)
    waits = post(client, f"{path}/save", status=202)
    assert (waits["state"], waits["by"], waits["version"]) == ("waiting", "anna", 1)
    refused = post(other, f"{path}/save", status=409)
    assert "version" in refused["what"] or "correct" in refused["what"]
    job = Job.objects.get(kind="correct")
    correct(job, say)
    over = get(client, f"/scans/{scan.pk}/correction")
    assert (over["state"], over["version"]) == (None, 2)
    newest = get(client, f"/scans/{scan.pk}/labellings")[0]
    assert (newest["version"], newest["corrected_by"]) == (2, "anna")
    assert post(other, f"{path}/renew")["version"] == 2
    assert post(other, f"{path}/drop") is None
    assert Correction.objects.count() == 1

    _, physician = west.person("carl", Role.PHYSICIAN)
    place = {"centre": west.centre.name, "study_group": west.group.name}
    asked = post(physician, "/exports", place, 201)
    assert "being made" in post(physician, "/exports", place, 409)["what"]
    assert asked["is_ready"] is False
    get(physician, f"/exports/{asked['id']}/training-set.zip", 404)
    export(Job.objects.get(pk=asked["job"]["id"]), say)
    found = get(physician, "/exports")["rows"][0]
    assert (found["is_ready"], found["n_scans"]) == (True, 1)
    answer = physician.get(f"{ROOT}/exports/{asked['id']}/training-set.zip")
    whole = b"".join(answer.streaming_content)
    assert len(whole) == found["n_bytes"]
    assert whole.startswith(b"PK")
    assert Entry.objects.filter(action="downloaded").count() == 1
    _, colleague = west.person("dora", Role.PHYSICIAN)
    get(colleague, f"/exports/{asked['id']}", 404)
    get(colleague, f"/exports/{asked['id']}/training-set.zip", 404)
    post(colleague, "/exports", {**place, "centre": "nowhere"}, 403)
