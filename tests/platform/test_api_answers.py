"""What the API answers: pages that double nothing, planes, factors, errors that can be mended."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import nibabel
import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from platform_world import N_SLICES, SIZE, Hospital, hospital, volume

from covidlit.cohort.factor_definitions import DEFINITIONS
from covidlit.platform.accounts.models import StudyGroup
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.jobs.models import Job
from covidlit.platform.registry.models import Labelling, Patient

pytestmark = pytest.mark.django_db
ROOT = "/api/v1"


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


@pytest.fixture
def client(own: Hospital) -> Client:
    return own.client(Role.PHYSICIAN)


def make_patients(own: Hospital, names: list[str]) -> None:
    Patient.objects.bulk_create(Patient(pseudonym=name, centre=own.centre) for name in names)
    through = Patient.study_groups.through
    through.objects.bulk_create(
        through(patient_id=pk, studygroup_id=own.group.pk)
        for pk in Patient.objects.filter(pseudonym__in=names).values_list("pk", flat=True)
    )


def pages(client: Client, path: str, cursor: str, **query: Any) -> list[list[dict[str, Any]]]:
    found = []
    following = None
    while True:
        more = {} if following is None else {cursor: following}
        page = client.get(f"{ROOT}{path}", {**query, **more}).json()
        found.append(page["rows"])
        following = page["next"]
        if following is None:
            return found


def test_no_patient_is_doubled_or_left_out_while_others_come_in(
    own: Hospital, client: Client
) -> None:
    make_patients(own, [f"Q{number:03}" for number in range(0, 500, 2)])
    seen: list[str] = []
    following: str | None = "A"
    while following is not None:
        page = client.get(f"{ROOT}/patients", {"limit": 20, "after": following}).json()
        seen += [each["pseudonym"] for each in page["rows"]]
        following = page["next"]
        # Before and behind the place where the list is.
        make_patients(own, [f"A{len(seen):03}", f"{seen[-1]}-1" if seen[-1] < "Q4" else "Q499"][:1])
        make_patients(own, [f"Q{len(seen):03}x"])
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen)
    assert {f"Q{number:03}" for number in range(0, 500, 2)} <= set(seen)


def test_patients_are_found_by_beginning_centre_and_study_group(own: Hospital) -> None:
    other = hospital("south")
    trial = StudyGroup.objects.create(name="trial")
    client = own.client(Role.READER)
    give_role(own.people[Role.READER], Role.READER, other.centre)
    make_patients(own, ["Pa1", "Pa2", "PA3", "Pb1"])
    Patient.objects.get(pseudonym="Pb1").study_groups.add(trial)  # which the reader is not in
    other.patient.study_groups.add(trial)

    def names(**query: str) -> list[str]:
        rows = client.get(f"{ROOT}/patients", query).json()["rows"]
        return [each["pseudonym"] for each in rows]

    assert names() == ["P-north", "P-south", "PA3", "Pa1", "Pa2", "Pb1"]
    assert names(search="Pa") == ["Pa1", "Pa2"]
    assert names(centre="south") == ["P-south"]
    assert names(study_group="trial") == ["P-south"]
    assert names(study_group="nothing") == []
    assert names(centre="nothing") == []
    row = client.get(f"{ROOT}/patients/Pb1").json()
    assert row == {
        "pseudonym": "Pb1", "centre": "north", "study_groups": ["clinic"],
        "diseases": ["covid-19"], "n_scans": 0, "latest": None,
    }  # fmt: skip
    assert client.get(f"{ROOT}/patients/P-north").json()["latest"] == "2020-03-20"


@pytest.mark.parametrize("role_is_everywhere", [False, True])
def test_a_page_of_patients_takes_as_long_for_many_as_for_few(
    role_is_everywhere: bool, own: Hospital
) -> None:
    client = own.client(Role.READER)
    if role_is_everywhere:
        give_role(own.people[Role.READER], Role.READER)
    plans, counts = [], []
    for names in (["Q0"], [f"Q{number:04}" for number in range(1000)]):
        make_patients(own, names)
        with CaptureQueriesContext(connection) as asked:
            client.get(f"{ROOT}/patients", {"limit": 1, "after": "P-north"})
        counts.append(len(asked))
        (query,) = (
            each["sql"] for each in asked
            if "ORDER BY" in each["sql"] and '"pseudonym" > ' in each["sql"]
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' * (connection.vendor == 'sqlite')}{query}")
            plans.append("\n".join(str(row) for row in cursor.fetchall()))
    assert counts[0] == counts[1]
    if connection.vendor == "sqlite":
        for plan in plans:
            assert re.search("SEARCH registry_patient USING (COVERING )?INDEX", plan)
            assert "SCAN registry_patient" not in plan
            assert "TEMP B-TREE" not in plan, plan  # the rows come in order: none are sorted


def test_a_plane_is_what_was_stored(own: Hospital, client: Client) -> None:
    scan = own.scans[0]
    answer = client.get(f"{ROOT}/scans/{scan.pk}/planes/4")
    assert answer["X-Type"] == "<i2"
    assert answer["X-Shape"] == f"{SIZE},{SIZE}"
    assert answer["X-Spacing-Mm"] == "5,1,1"
    stored = volume(scan.acquired_on.day)
    values = np.frombuffer(answer.content, "<i2").reshape(SIZE, SIZE)
    np.testing.assert_array_equal(values, stored.hu[4])
    affine = np.array(answer["X-Affine"].split(","), float).reshape(4, 4)
    np.testing.assert_allclose(affine, stored.affine)
    beyond = client.get(f"{ROOT}/scans/{scan.pk}/planes/{N_SLICES}")
    assert (beyond.status_code, beyond.json()["where"]) == (404, "index")
    page = client.get(f"/scans/{scan.pk}/slices/2.png?lesion=1").content
    assert client.get(f"{ROOT}/scans/{scan.pk}/slices/2.png?lesion=1").content == page


def test_labels_are_planes_and_volumes(own: Hospital, client: Client, tmp_path: Path) -> None:
    labelling = own.scans[0].labellings.get()
    expected = np.zeros((N_SLICES, SIZE, SIZE), np.uint8)
    expected[1:5, 4:28, 4:28] = 1
    expected[2:4, 10:16, 10:16] = 3
    for of, kind, values in (("classes", "|u1", expected), ("instances", "<i4", expected == 3)):
        answer = client.get(f"{ROOT}/labellings/{labelling.pk}/planes/2?of={of}")
        assert answer["X-Type"] == kind
        found = np.frombuffer(answer.content, kind).reshape(SIZE, SIZE)
        np.testing.assert_array_equal(found, values[2])
    answer = client.get(f"{ROOT}/labellings/{labelling.pk}/labels.zip")
    with ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert names == ["S-P-north-1.classes.nii.gz", "S-P-north-1.instances.nii.gz"]
    image = nibabel.load(tmp_path / names[0])
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), expected)
    np.testing.assert_allclose(image.header.get_zooms(), (1, 1, 5))
    assert Entry.objects.filter(action="exported", centre="north").count() == 1
    lesion = client.get(f"{ROOT}/labellings/{labelling.pk}/lesions").json()[0]
    assert (lesion["number"], lesion["kind"], lesion["slice_index"]) == (1, "ground_glass", 2)


def test_the_newest_labelling_is_shown_and_all_are_listed(own: Hospital, client: Client) -> None:
    scan = own.scans[0]
    first = scan.labellings.get()
    newer = Labelling.objects.create(
        scan=scan, version=2, labelled_by="masks", folder=first.folder, corrects=first,
        corrected_by=own.people[Role.PHYSICIAN], factors={**first.factors, "n_lesions": 0},
    )  # fmt: skip
    shown = client.get(f"{ROOT}/scans/{scan.pk}").json()["labelling"]
    assert (shown["version"], shown["corrects"], shown["factors"]["n_lesions"]) == (2, first.pk, 0)
    assert shown["corrected_by"] == "north-physician"
    versions = client.get(f"{ROOT}/scans/{scan.pk}/labellings").json()
    assert [each["id"] for each in versions] == [newer.pk, first.pk]
    table = client.get(f"{ROOT}/factors").json()["rows"]
    assert [(each["scan_id"], each["version"]) for each in table] == [
        ("S-P-north-1", 2), ("S-P-north-20", 1),
    ]  # fmt: skip


def test_factors_are_a_table_with_definitions(own: Hospital, client: Client) -> None:
    rows = [each for page in pages(client, "/factors", "after", limit=1) for each in page]
    assert [(each["patient_id"], each["acquisition_date"]) for each in rows] == [
        ("P-north", "2020-03-01"), ("P-north", "2020-03-20"),
    ]  # fmt: skip
    assert [each["factors"]["total_volume_ml"] for each in rows] == [10.0, 200.0]
    about = client.get(f"{ROOT}/factors/definitions").json()
    assert [each["column"] for each in about] == [each.column for each in DEFINITIONS]
    assert {each["unit"] for each in about} >= {"mL", "HU", "mm"}
    trend = client.get(f"{ROOT}/patients/P-north/trend").json()
    assert [(each["days"], each["volume_change_ml"], each["volume_change"]) for each in trend] == [
        (0, None, None), (19, 190.0, "more"),
    ]  # fmt: skip


def test_a_patient_is_measured_again_once(own: Hospital, client: Client) -> None:
    jobs = {client.post(f"{ROOT}/patients/P-north/measure").json()["id"] for _ in range(2)}
    assert len(jobs) == 1
    assert (
        Job.objects.filter(arguments={"patient": own.patient.pk, "disease": "covid-19"}).count()
        == 1
    )
    job = Job.objects.get(pk=jobs.pop())
    assert (job.kind, job.arguments, job.owner) == (
        "measure", {"patient": own.patient.pk, "disease": "covid-19"}, own.people[Role.PHYSICIAN],
    )  # fmt: skip
    assert Entry.objects.filter(action="asked to measure").count() == 1
    ended = client.post(f"{ROOT}/jobs/{job.pk}/cancel").json()
    assert (ended["state"], ended["is_over"]) == ("cancelled", True)
    client.post(f"{ROOT}/jobs/{job.pk}/cancel")
    assert Entry.objects.filter(action="cancelled the job").count() == 1
    assert [len(p) for p in pages(client, "/jobs", "before", limit=1)] == [1, 1]


@pytest.mark.parametrize(
    ("method", "path", "data", "status", "where"),
    [
        ("get", "/patients?serach=P", None, 422, "query"),
        ("get", "/patients?limit=1000", None, 422, "query.limit"),
        ("get", "/patients?search=%00", None, 422, "query.search"),
        ("get", "/patients/P%00", None, 422, "path.pseudonym"),
        ("get", "/patients/P-nobody", None, 404, "the address"),
        ("get", f"/scans/{10**30}", None, 422, "path.pk"),
        ("get", "/nothing", None, 404, "the address"),
        ("delete", "/patients", None, 405, "the method"),
        ("post", "/uploads", b"{", 400, "the request"),
        ("post", "/uploads", b"[" * 50_000, 400, "the request"),
        ("post", "/uploads", b'{"centre": "\\ud800", "study_group": "clinic"}', 422, None),
        ("post", "/uploads", b'{"centre": "a", "study_group": "b", "owner": 1}', 422, None),
        ("post", "/uploads", b'{"centre": "a", "study_group": "b"}', 403, "your roles"),
        ("post", "/uploads", b" " * 100_000, 413, "the body"),
        ("put", "/uploads/1/file?name=a", bytes((16 << 20) + 1), 413, "the body"),
    ],
)
def test_a_refusal_says_what_where_and_how_to_mend(
    method: str, path: str, data: bytes | None, status: int, where: str | None, client: Client,
) -> None:  # fmt: skip
    sent = {} if data is None else {"data": data, "content_type": "application/json"}
    answer = getattr(client, method)(f"{ROOT}{path}", **sent)
    problem = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem["title"]
    assert problem["what"] in problem["detail"]
    assert problem["fix"] in problem["detail"]
    assert where is None or problem["where"] == where


def test_a_typing_error_is_guessed(client: Client) -> None:
    assert "search" in client.get(f"{ROOT}/patients?serach=P").json()["fix"]
