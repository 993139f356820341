"""The two levels of grading as graders use them: queues, forms, history, disagreements."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from platform_world import Hospital, hospital, volume
from sklearn.metrics import cohen_kappa_score

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.grading.choices import GradingSettings
from covidlit.platform.grading.models import Claim, Grade
from covidlit.platform.grading.standing import State, standing_of
from covidlit.platform.grading.turns import settle
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.viewing.planes import write_planes

pytestmark = pytest.mark.django_db

FIRST, SECOND = Role.GRADER_FIRST, Role.GRADER_SECOND
GOOD = {"decision": "grade", "quality_grade": "good", "class_name": "covid"}


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = settings.FOLDER.settings.model_copy(update={"grading": GradingSettings(blind=True)})
    monkeypatch.setattr(settings.FOLDER, "settings", changed)


def grade(client: Client, level: str, scan: Scan, said: dict[str, Any], **other: Any) -> Any:
    """Send the form of a scan as it was shown."""
    address = reverse(f"grade_{level}", kwargs={"pk": scan.pk})
    page = client.get(address).content.decode()
    seen = dict(re.findall(r'type="hidden" name="(number|version)" value="(\d+)"', page))
    return client.post(address, {**seen, **said, **other})


def text(client: Client, name: str, **keys: Any) -> str:
    answer = client.get(reverse(name, kwargs=keys))
    assert answer.status_code == 200
    return answer.content.decode()


def colleague(own: Hospital, name: str, role: Role) -> Client:
    user = User.objects.create(username=name)
    give_role(user, role, own.centre, own.group)
    client = Client()
    client.force_login(user)
    return client


def test_the_whole_way_of_a_scan(own: Hospital) -> None:
    first, second = own.client(FIRST), own.client(SECOND)
    scan, other = own.scans
    assert "2 scans wait" in text(first, "first_queue")
    assert "0 scans wait" in text(second, "second_queue")
    assert first.get(reverse("next_first"))["Location"] == reverse("grade_first", args=[scan.pk])
    page = text(first, "grade_first", pk=scan.pk)
    assert reverse("slice", args=[scan.pk, 0]) in page

    done = grade(first, "first", scan, GOOD, severity="mild", comment="a note")
    assert done["Location"] == reverse("next_first")
    assert first.get(done["Location"])["Location"] == reverse("grade_first", args=[other.pk])
    assert "1 scan waits" in text(first, "first_queue")
    assert "waits for the second grade" in text(first, "patient", pseudonym="P-north")
    assert "1 scan waits" in text(second, "second_queue")

    page = text(second, "grade_second", pk=scan.pk)
    assert "good, covid, mild" in page
    assert "a note" in page
    assert grade(second, "second", scan, {"decision": "confirm"}).status_code == 302
    assert standing_of(scan, "covid-19").state is State.APPROVED
    assert "0 scans wait" in text(second, "second_queue")
    page = text(own.client(Role.READER), "scan", pk=scan.pk)
    assert "Status: approved: <strong>good, covid, mild" in page

    reason = {"decision": "exclude", "reason": "motion artefact"}
    assert grade(first, "first", other, reason).status_code == 302
    assert "excluded: motion artefact" in text(second, "grade_second", pk=other.pk)
    grade(second, "second", other, {"decision": "confirm"})
    assert standing_of(other, "covid-19").state is State.EXCLUDED
    told = [
        (e.action, e.subject, e.centre) for e in Entry.objects.filter(action__contains="graded")
    ]
    assert sorted(told) == sorted(
        (f"graded as the {level}", f"scan {each.scan_id}", "north")
        for level in ("first", "second")
        for each in (scan, other)
    )
    assert "a note" not in str(list(Entry.objects.values_list("details", flat=True)))  # free text


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 400),
        ({"decision": "grade"}, 400),
        ({"decision": "grade", "quality_grade": "good"}, 400),
        ({"decision": "grade", "quality_grade": "splendid", "class_name": "covid"}, 400),
        ({"decision": "exclude"}, 400),
        ({"decision": "exclude", "reason": "other"}, 400),
        ({"decision": "exclude", "reason": "other", "comment": "a phantom"}, 302),
        ({"decision": "confirm"}, 400),
        ({**GOOD, "number": "x"}, 400),
        ({**GOOD, "number": ""}, 400),
        ({**GOOD, "version": "99999999999999999999999"}, 409),
        ({**GOOD, "comment": "x" * 501}, 400),
        ({**GOOD, "severity": "none at all"}, 400),
    ],
)
def test_what_a_form_lacks_is_said_and_nothing_is_saved(
    said: dict[str, Any], status: int, own: Hospital
) -> None:
    answer = grade(own.client(FIRST), "first", own.scans[0], said)
    assert answer.status_code == status
    assert Grade.objects.count() == (1 if status == 302 else 0)
    if status == 400:
        assert 'class="errorlist"' in answer.content.decode()


def test_a_correction_is_a_disagreement_and_counts_in_kappa(own: Hospital) -> None:
    first, second = own.client(FIRST), own.client(SECOND)
    grade(first, "first", own.scans[0], GOOD)
    grade(first, "first", own.scans[1], {**GOOD, "class_name": "cap"})
    grade(second, "second", own.scans[0], {**GOOD, "class_name": "np"})
    grade(second, "second", own.scans[1], {"decision": "confirm"})
    page = text(own.client(Role.READER), "grading")
    assert "1 scan that the second graded otherwise" in page
    assert "good, covid (north-grader_first)" in page
    assert "good, np (north-grader_second)" in page
    kappa = cohen_kappa_score(["covid", "cap"], ["np", "cap"])
    row = re.search(r"<th scope=\"row\">class</th>(.*?)</tr>", page, re.DOTALL)
    assert row is not None
    assert "50.0%" in row[1]
    assert f"<td>{kappa:.2f}" in row[1]
    assert standing_of(own.scans[0], "covid-19").state is State.APPROVED

    # Minds that were changed since are no agreement.
    grade(first, "first", own.scans[0], {**GOOD, "class_name": "np"})
    grade(second, "second", own.scans[0], {"decision": "confirm"})
    assert f"<td>{kappa:.2f}" in text(first, "grading")


def test_nobody_verifies_himself(own: Hospital) -> None:
    first = own.client(FIRST)
    give_role(own.people[FIRST], SECOND, own.centre, own.group)
    grade(first, "first", own.scans[0], GOOD)
    assert "0 scans wait" in text(first, "second_queue")
    assert "somebody else has to verify it" in text(first, "grade_second", pk=own.scans[0].pk)
    address = reverse("grade_second", args=[own.scans[0].pk])
    answer = first.post(address, {**GOOD, "number": 1, "version": 1})
    assert answer.status_code == 409
    assert Grade.objects.count() == 1
    assert "Grade it as the second" not in text(first, "scan", pk=own.scans[0].pk)
    assert "Grade it as the first" in text(first, "scan", pk=own.scans[0].pk)


def test_a_changed_mind_is_a_new_row_and_is_verified_again(own: Hospital) -> None:
    first, second = own.client(FIRST), own.client(SECOND)
    scan = own.scans[0]
    grade(first, "first", scan, GOOD)
    grade(second, "second", scan, {"decision": "confirm"})
    grade(first, "first", scan, {**GOOD, "quality_grade": "poor"})
    assert [g.number for g in standing_of(scan, "covid-19").grades] == [1, 2, 3]
    assert standing_of(scan, "covid-19").state is State.OUTDATED
    assert "1 scan waits" in text(second, "second_queue")
    page = text(second, "scan", pk=scan.pk)
    assert "the first grade was changed" in page
    assert page.count("good, covid") == 2
    assert "poor, covid" in page
    # Nobody else is a second first grader.
    answer = grade(colleague(own, "third", FIRST), "first", scan, GOOD)
    assert answer.status_code in (400, 409)
    assert Grade.objects.count() == 3
    with pytest.raises(DatabaseError), transaction.atomic():
        Grade.objects.update(quality_grade="good")
    with pytest.raises(DatabaseError), transaction.atomic():
        Grade.objects.all().delete()


def test_lesions_measured_anew_come_back_to_the_second(own: Hospital) -> None:
    first, second = own.client(FIRST), own.client(SECOND)
    scan = own.scans[0]
    grade(first, "first", scan, GOOD)
    grade(second, "second", scan, {"decision": "confirm"})
    Labelling.objects.create(scan=scan, version=2, labelled_by="a model", factors={})
    for page in (text(second, "scan", pk=scan.pk), text(second, "patient", pseudonym="P-north")):
        assert "measured anew (version 2)" in page
    assert "1 scan waits" in text(second, "second_queue")
    assert "1 scan waits" in text(first, "first_queue")  # the other one
    grade(second, "second", scan, {"decision": "confirm"})
    grades = standing_of(scan, "covid-19").grades
    assert [g.labelling.version for g in grades if g.labelling] == [1, 1, 2]
    assert standing_of(scan, "covid-19").state is State.APPROVED


def test_a_scan_without_lesions_is_graded_too(own: Hospital) -> None:
    scan = Scan.objects.create(
        patient=own.patient, scan_id="S-new", n_slices=3, spacing_mm=[5, 1, 1], folder="P-north/new"
    )
    (settings.FOLDER.scans / scan.folder).mkdir(parents=True, exist_ok=True)
    write_planes(volume(), settings.FOLDER.scans / scan.folder / "planes.zip")
    grade(own.client(FIRST), "first", scan, GOOD)
    grade(own.client(SECOND), "second", scan, {"decision": "confirm"})
    assert standing_of(scan, "covid-19").state is State.APPROVED
    Labelling.objects.create(scan=scan, version=1, labelled_by="a model", factors={})
    assert standing_of(scan, "covid-19").state is State.OUTDATED


def test_who_comes_second_is_told_and_keeps_what_he_chose(own: Hospital) -> None:
    one, other = own.client(FIRST), colleague(own, "other", FIRST)
    scan = own.scans[0]
    address = reverse("grade_first", args=[scan.pk])
    sent = {**GOOD, "number": 0, "version": 1, "comment": "mine"}
    assert one.post(address, sent).status_code == 302
    late = other.post(address, {**sent, "comment": "too late"})
    assert late.status_code == 409
    assert "meanwhile north-grader_first graded it as the first" in late.content.decode()
    assert Grade.objects.get().comment == "mine"
    # A second click is no second grade.
    assert one.post(address, sent).status_code == 302
    assert Grade.objects.count() == 1

    second, third = own.client(SECOND), colleague(own, "third", SECOND)
    address = reverse("grade_second", args=[scan.pk])
    sent = {**GOOD, "number": 1, "version": 1, "quality_grade": "poor", "comment": "kept"}
    assert second.post(address, {**sent, "quality_grade": "fair"}).status_code == 302
    late = third.post(address, sent)
    assert late.status_code == 409
    page = late.content.decode()
    assert "kept</textarea>" in page
    assert re.search(r'value="poor"[^>]* checked', page)
    assert Grade.objects.count() == 2


def test_lesions_that_came_in_between_are_told(own: Hospital) -> None:
    scan = own.scans[0]
    Labelling.objects.create(scan=scan, version=2, labelled_by="a model", factors={})
    address = reverse("grade_first", args=[scan.pk])
    late = own.client(FIRST).post(address, {**GOOD, "number": 0, "version": 1})
    assert late.status_code == 409
    assert "its lesions were measured anew" in late.content.decode()
    assert not Grade.objects.exists()


def test_graders_are_given_different_scans_and_can_skip(own: Hospital) -> None:
    one, other = own.client(FIRST), colleague(own, "other", FIRST)
    places = [reverse("grade_first", args=[scan.pk]) for scan in own.scans]
    assert one.get(one.get(reverse("next_first"))["Location"]).status_code == 200
    assert other.get(reverse("next_first"))["Location"] == places[1]
    assert "north-grader_first has this scan open" in other.get(places[0]).content.decode()
    Claim.objects.update(until="2020-01-01T00:00Z")
    assert other.get(reverse("next_first"))["Location"] == places[0]
    skipping = f"{reverse('next_first')}?skip={own.scans[0].pk}"
    assert other.get(skipping)["Location"] == places[1]
    skipping = f"{reverse('next_first')}?skip={own.scans[1].pk}"
    assert other.get(skipping)["Location"] == reverse("first_queue")
    assert other.get(reverse("next_first"))["Location"] == places[0]
    for odd in ("x", "9" * 30, "-1", "²"):
        assert other.get(reverse("next_first"), {"skip": odd}).status_code == 302


def test_the_second_is_blind_where_that_is_set(own: Hospital, blind: None) -> None:
    first, second = own.client(FIRST), own.client(SECOND)
    scan = own.scans[0]
    grade(first, "first", scan, {**GOOD, "class_name": "np"}, comment="a first thought")
    give_role(own.people[SECOND], Role.PHYSICIAN, own.centre, own.group)
    told = [text(second, "grade_second", pk=scan.pk), text(second, "scan", pk=scan.pk),
            text(second, "second_queue"), text(second, "grading"), text(second, "grading_manifest"),
            text(second, "patient", pseudonym="P-north")]  # fmt: skip
    for page in told:
        assert "good, np" not in page
        assert "a first thought" not in page
        assert ",np," not in page
        assert not re.search(r'value="np"[^>]* checked', page)
    assert grade(second, "second", scan, {"decision": "confirm"}).status_code == 400
    assert "good, np" in text(first, "scan", pk=scan.pk)
    assert grade(second, "second", scan, GOOD).status_code == 302
    assert "good, np" in text(second, "scan", pk=scan.pk)
    assert "good, np" in text(second, "grading")


def test_a_foreign_centre_is_not_graded_nor_counted(own: Hospital) -> None:
    foreign = hospital("south")
    for role, level in ((FIRST, "first"), (SECOND, "second")):
        client = own.client(role)
        address = reverse(f"grade_{level}", args=[foreign.scans[0].pk])
        assert client.get(address).status_code == 404
        assert client.post(address, {**GOOD, "number": 0, "version": 1}).status_code == 404
    assert "2 scans wait" in text(own.client(FIRST), "first_queue")
    grade(foreign.client(FIRST), "first", foreign.scans[0], GOOD)
    grade(foreign.client(SECOND), "second", foreign.scans[0], {**GOOD, "class_name": "cap"})
    assert "No scan has grades of both levels" in text(own.client(SECOND), "grading")
    assert "1 scan that the second" in text(foreign.client(SECOND), "grading")


def test_the_queue_is_paged_and_the_oldest_comes_first(own: Hospital) -> None:
    Scan.objects.bulk_create(
        Scan(patient=own.patient, scan_id=f"S{n}", n_slices=3, spacing_mm=[5, 1, 1])
        for n in range(60)
    )
    settle(list(Scan.objects.all()))  # which follows rows that are made one by one
    client = own.client(FIRST)
    page = text(client, "first_queue")
    assert "62 scans wait" in page
    order = [int(pk) for pk in re.findall(r'href="/grading/first/(\d+)/\?disease=covid-19"', page)]
    assert order == sorted(order)
    assert len(order) == 50
    later = client.get(reverse("first_queue"), {"page": 2}).content.decode()
    assert len(re.findall(r'href="/grading/first/(\d+)/\?disease=covid-19"', later)) == 12
