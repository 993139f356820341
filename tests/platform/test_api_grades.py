"""Grades by the API: the rules of the page, and what it hides stays hidden."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from api_calls import CALLS, OPERATIONS, prepared, token_of
from django.conf import settings
from django.test import Client
from platform_world import Hospital, hospital

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import Role
from covidlit.platform.api.operations import parameters_of
from covidlit.platform.audit.models import Entry
from covidlit.platform.grading.choices import GradingSettings
from covidlit.platform.grading.models import Grade
from covidlit.platform.registry.models import Labelling

pytestmark = pytest.mark.django_db
ROOT = "/api/v1"
FIRST, SECOND = Role.GRADER_FIRST, Role.GRADER_SECOND
GOOD = {"decision": "grade", "quality_grade": "good", "class_name": "covid"}


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def post(client: Client, path: str, body: dict[str, Any], status: int = 201) -> Any:
    answer = client.post(f"{ROOT}{path}", body, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def grade(client: Client, scan: int, level: str, status: int = 201, **said: Any) -> Any:
    """Grade on what there is to see now."""
    seen = client.get(f"{ROOT}/scans/{scan}/grades").json()
    body = {"number": seen["number"], "version": seen["version"], **said}
    return post(client, f"/scans/{scan}/grades/{level}", body, status)


def test_the_whole_way_of_a_scan(own: Hospital) -> None:
    first, second = own.client(FIRST), own.client(SECOND)
    scan, other = (each.pk for each in own.scans)
    queue = first.get(f"{ROOT}/grading/first/queue", {"limit": 1}).json()
    assert queue["n_waiting"] == 2
    assert [row["scan"] for row in queue["rows"]] == [scan]
    assert second.get(f"{ROOT}/grading/second/queue").json() == {"n_waiting": 0, "rows": []}
    before = first.get(f"{ROOT}/scans/{scan}/grades").json()
    assert (before["state"], before["number"], before["levels"]) == ("ungraded", 0, ["first"])

    done = grade(first, scan, "first", **GOOD, severity="mild", comment="a note")
    assert (done["state"], done["number"], done["version"]) == ("graded", 1, 1)
    waits = second.get(f"{ROOT}/grading/second/queue").json()
    assert [row["scan"] for row in waits["rows"]] == [scan]
    done = grade(second, scan, "second", decision="confirm")
    assert done["state"] == "approved"
    assert [(each["level"], each["grader"]) for each in done["grades"]] == [
        ("first", "north-grader_first"), ("second", "north-grader_second"),
    ]  # fmt: skip
    assert {each["quality_grade"] for each in done["grades"]} == {"good"}
    grade(first, other, "first", decision="exclude", reason="lungs cut off")
    done = grade(second, other, "second", **GOOD)
    assert done["state"] == "approved"  # a correction
    told = Entry.objects.filter(action__startswith="graded as").order_by("number")
    assert [each.username for each in told] == [
        f"north-grader_{level}" for level in ("first", "second") * 2
    ]

    answer = own.client(Role.PHYSICIAN).get(f"{ROOT}/grading/manifest.csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["label_status"] for row in rows] == ["approved", "approved"]
    assert rows[1]["grader_1"] == "excluded"
    assert Entry.objects.filter(action="exported", subject="manifest of 2 scans").count() == 1


def test_sent_twice_it_is_one_grade_and_who_comes_second_is_told(own: Hospital) -> None:
    first, scan = own.client(FIRST), own.scans[0]
    rival = User.objects.create(username="rival")
    give_role(rival, FIRST, own.centre, own.group)
    client = Client()
    client.force_login(rival)
    body = {"number": 0, "version": 1, **GOOD}
    answers = [post(first, f"/scans/{scan.pk}/grades/first", body) for _ in range(2)]
    assert answers[0] == answers[1]
    refused = post(client, f"/scans/{scan.pk}/grades/first", {**body, "severity": "mild"}, 409)
    assert "north-grader_first graded it as the first" in refused["what"]
    refused = grade(client, scan.pk, "first", 409, **GOOD)
    assert "has graded this scan as the first" in refused["what"]
    Labelling.objects.create(
        scan=scan, version=2, labelled_by="masks", folder="P-north/v1", factors={}
    )
    body = {"number": 1, "version": 1, "decision": "confirm"}
    refused = post(own.client(SECOND), f"/scans/{scan.pk}/grades/second", body, 409)
    assert "its lesions were measured anew" in refused["what"]
    assert Grade.objects.count() == 1


def test_nobody_verifies_himself_by_a_token_either(own: Hospital) -> None:
    first = own.client(FIRST)
    give_role(own.people[FIRST], SECOND, own.centre, own.group)
    scan = own.scans[0].pk
    grade(first, scan, "first", **GOOD)
    text = token_of(own.people[FIRST], "read", "grade_first", "grade_second")
    headers = {"authorization": f"Bearer {text}"}
    body = {"number": 1, "version": 1, "decision": "confirm"}
    answer = Client().post(
        f"{ROOT}/scans/{scan}/grades/second", body, content_type="application/json",
        headers=headers,
    )  # fmt: skip
    assert answer.status_code == 409
    assert "somebody else has to verify it" in answer.json()["what"]
    levels = Client().get(f"{ROOT}/scans/{scan}/grades", headers=headers).json()["levels"]
    assert levels == ["first"]
    less = {"authorization": f"Bearer {token_of(own.people[FIRST], 'read')}"}
    assert Client().get(f"{ROOT}/scans/{scan}/grades", headers=less).json()["levels"] == []


def test_a_blind_second_is_not_told_the_first_grade(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = settings.FOLDER.settings.model_copy(update={"grading": GradingSettings(blind=True)})
    monkeypatch.setattr(settings.FOLDER, "settings", changed)
    first, second, scan = own.client(FIRST), own.client(SECOND), own.scans[0].pk
    grade(first, scan, "first", **GOOD, comment="very telling")
    answer = second.get(f"{ROOT}/scans/{scan}/grades")
    assert answer.json()["hidden"] is True
    assert (answer.json()["grades"], answer.json()["number"]) == ([], 1)
    assert "very telling" not in answer.content.decode()
    refused = grade(second, scan, "second", 422, decision="confirm")
    assert refused["where"] == "body.decision"
    done = grade(second, scan, "second", decision="grade", quality_grade="poor", class_name="cap")
    assert [each["quality_grade"] for each in done["grades"]] == ["good", "poor"]
    assert done["hidden"] is False


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"decision": "grade", "class_name": "covid"}, "body.quality_grade"),
        ({"decision": "grade", "quality_grade": "good"}, "body.class_name"),
        ({"decision": "grade", "quality_grade": "superb", "class_name": "covid"},
         "body.quality_grade"),
        ({"decision": "exclude"}, "body.reason"),
        ({"decision": "exclude", "reason": "other"}, "body.comment"),
        ({"decision": "confirm"}, "body.decision"),
    ],
)  # fmt: skip
def test_what_a_grade_lacks_is_named_and_nothing_is_kept(
    said: dict[str, str], where: str, own: Hospital
) -> None:
    client, scan = own.client(FIRST), own.scans[0].pk
    assert grade(client, scan, "first", 422, **said)["where"] == where
    assert not Grade.objects.exists()


@pytest.mark.parametrize("name", list(CALLS))
def test_a_parameter_that_is_none_is_refused_by_every_operation(name: str, own: Hospital) -> None:
    user = own.upload.owner
    for role in Role:
        give_role(user, role)
    client = Client()
    client.force_login(user)
    good = prepared(client, name, own)
    address = str(good.keywords["path"])
    bad = address + ("&" if "?" in address else "?") + "cent=north"
    before = Entry.objects.count()
    answer = good(path=bad)
    assert answer.status_code == 422
    problem = answer.json()
    assert "'cent'" in problem["what"]
    known = parameters_of(OPERATIONS[name])
    assert all(each in problem["fix"] for each in known)
    assert Entry.objects.count() == before
