"""Whose turn a scan is, kept with the scans, against what grades and labellings say of each."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse
from platform_world import Hospital, hospital

from covidlit.platform.accounts.models import StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Right, Role
from covidlit.platform.grading.agreed import MOST_COMPARED, pairs_of
from covidlit.platform.grading.giving import GradeRefused, Judgement, Seen, give
from covidlit.platform.grading.models import Comparison, Grade, Level, Turn
from covidlit.platform.grading.standing import State, standing_of
from covidlit.platform.grading.turns import settle
from covidlit.platform.grading.waiting import Counted, counted, hidden_from, waiting
from covidlit.platform.registry.models import Labelling, Patient, Scan

pytestmark = pytest.mark.django_db

DISEASE = "covid-19"


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    for role in (Role.GRADER_FIRST, Role.GRADER_SECOND, Role.READER):
        own.client(role)
    both = make_user("both", "a long enough phrase")
    for role in (Role.GRADER_FIRST, Role.GRADER_SECOND):
        give_role(both, role, own.centre, own.group)
    own.people[Role.ANNOTATOR] = both  # somebody who grades on both levels
    return own


def _scan(own: Hospital, name: str) -> Scan:
    return Scan.objects.create(
        patient=own.patient, scan_id=name, n_slices=3, spacing_mm=[5, 1, 1],
        acquired_on=date(2020, 1, 1),
    )  # fmt: skip


def _measure(scan: Scan) -> None:
    newest = scan.labellings.first()
    Labelling.objects.create(
        scan=scan, version=newest.version + 1 if newest else 1, labelled_by="masks", folder="x",
        factors={},
    )  # fmt: skip


def _give(scan: Scan, user: User, level: Level, said: Judgement, disease: str = DISEASE) -> None:
    give(scan, disease, user, level, Seen.of(standing_of(scan, disease)), said)


def _expected(own: Hospital, level: Level, user_pk: int) -> set[int]:
    """By the grades of each scan, as they are shown."""
    wanted = (State.UNGRADED,) if level == Level.FIRST else (State.GRADED, State.OUTDATED)
    found = set()
    for scan in Scan.objects.all():
        standing = standing_of(scan, DISEASE)
        mine = any(g.level == 1 and g.grader_id == user_pk for g in standing.grades)
        if standing.state in wanted and not (level == Level.SECOND and mine):
            found.add(scan.pk)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_queues_hold_what_the_grades_say(own: Hospital, seed: int) -> None:
    order = random.Random(seed)
    scans = [*own.scans, *(_scan(own, f"T{n}") for n in range(4))]
    graders = [own.people[r] for r in (Role.GRADER_FIRST, Role.GRADER_SECOND, Role.ANNOTATOR)]
    first_pairs: dict[int, tuple[int, int]] = {}
    for _ in range(60):
        scan = order.choice(scans)
        if order.random() < 0.25:
            _measure(scan)
        else:
            level = order.choice([Level.FIRST, Level.SECOND])
            said = Judgement("", order.choice(["good", "fair"]))
            try:
                _give(scan, order.choice(graders), level, said)
            except GradeRefused:
                continue
        both = standing_of(scan, DISEASE).compared
        if both is not None:
            first_pairs.setdefault(scan.pk, (both[0].pk, both[1].pk))
        for user in graders:
            for level in Level:
                if not Scan.objects.seen_by(user, level.right).exists():
                    continue
                told = set(waiting(user, level, DISEASE).values_list("pk", flat=True))
                assert told == _expected(own, level, user.pk)
    assert dict(Comparison.objects.values_list("scan", "first")) == {
        key: first for key, (first, _) in first_pairs.items()
    }
    for row in Comparison.objects.select_related("first", "second"):
        assert row.second_id == first_pairs[row.scan_id][1]
        assert row.differs == (row.first.grade != row.second.grade)
    turns = sorted(Turn.objects.values_list("scan", "level", "since"))
    settle(scans)  # done again it changes nothing
    assert sorted(Turn.objects.values_list("scan", "level", "since")) == turns
    assert len(first_pairs) > 2


def test_agreement_is_told_of_those_that_were_verified_last(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = [_scan(own, f"T{n}") for n in range(5)]
    first, second = own.people[Role.GRADER_FIRST], own.people[Role.GRADER_SECOND]
    for n, scan in enumerate(scans):
        _give(scan, first, Level.FIRST, Judgement("", "good", "covid"))
        said = Judgement("motion artefact") if n == 4 else Judgement("", "fair", "covid")
        _give(scan, second, Level.SECOND, said)
    rows = Comparison.objects.seen_by(own.people[Role.READER], Right.VIEW)
    monkeypatch.setattr("covidlit.platform.grading.agreed.MOST_COMPARED", 2)
    pairs = pairs_of(rows)
    assert [(p.first.quality_grade, *p.second[:2]) for p in pairs] == [
        ("good", True, ""), ("good", False, "fair"),
    ]  # fmt: skip
    assert {p.patient_id for p in pairs} == {own.patient.pk}


def test_what_is_counted_is_said_to_some_number(monkeypatch: pytest.MonkeyPatch) -> None:
    own = hospital("north")
    assert str(counted(Scan.objects.all())) == "2"
    monkeypatch.setattr("covidlit.platform.grading.waiting.MOST_COUNTED", 1)
    assert counted(Scan.objects.all()) == Counted(1, is_all=False)
    assert str(counted(Scan.objects.all())) == "more than 1"
    assert str(counted(Patient.objects.filter(pk=own.patient.pk))) == "1"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="asks for the plans of SQLite")
@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize(
    ("role", "page"),
    [(Role.READER, "grading"), (Role.GRADER_FIRST, "first_queue"),
     (Role.GRADER_SECOND, "second_queue"), (Role.GRADER_SECOND, "grading")],
)  # fmt: skip
def test_no_page_goes_through_all_scans_or_grades(
    own: Hospital, role: Role, page: str, blind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    grading = settings.FOLDER.settings.grading.model_copy(update={"blind": blind})
    whole = settings.FOLDER.settings.model_copy(update={"grading": grading})
    monkeypatch.setattr(settings.FOLDER, "settings", whole)
    client = own.client(role)
    plans: list[str] = []

    def explained(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and ("registry_scan" in sql or "grading_grade" in sql):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
                plans.append(" | ".join(str(row[3]) for row in cursor.fetchall()))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(explained):
        assert client.get(reverse(page)).status_code == 200
    assert plans
    for plan in plans:
        assert not any(f"SCAN {name}" in plan for name in ("registry_scan", "grading_grade")), plan


def test_grades_of_a_scan_that_waits_again_are_hidden_where_graders_are_blind(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = own.scans[0]
    first, second = own.people[Role.GRADER_FIRST], own.people[Role.GRADER_SECOND]
    _give(scan, first, Level.FIRST, Judgement("", "good"))
    _give(scan, second, Level.SECOND, Judgement("", "fair"))
    _measure(scan)  # it waits for a second grade again
    grading = settings.FOLDER.settings.grading.model_copy(update={"blind": True})
    whole = settings.FOLDER.settings.model_copy(update={"grading": grading})
    monkeypatch.setattr(settings.FOLDER, "settings", whole)
    other = own.people[Role.ANNOTATOR]  # has not seen the first's grade
    assert list(hidden_from(other, DISEASE)) == [scan]
    assert list(hidden_from(second, DISEASE)) == []
    name = "1 scan that the second graded otherwise"
    pages = {}
    for user in (other, second):
        client = own.client(Role.READER)
        client.force_login(user)
        pages[user.pk] = client.get(reverse("grading")).content.decode()
    assert name in pages[second.pk]
    assert "graded otherwise" not in pages[other.pk]
    assert Grade.objects.count() == 2
    assert MOST_COMPARED > 100


def test_a_scan_waits_for_each_disease_that_its_patient_is_followed_for(own: Hospital) -> None:
    first = own.people[Role.GRADER_FIRST]
    fibrosis = StudyGroup.objects.create(name="follow-up", disease="fibrosis")
    give_role(first, Role.GRADER_FIRST, own.centre, fibrosis)
    scan = own.scans[0]

    def waits(disease: str) -> set[int]:
        first.forget_memberships()
        return set(waiting(first, Level.FIRST, disease).values_list("pk", flat=True))

    both = {each.pk for each in own.scans}
    assert (waits(DISEASE), waits("fibrosis")) == (both, set())
    own.patient.study_groups.add(fibrosis)
    assert (waits(DISEASE), waits("fibrosis")) == (both, both)
    _give(scan, first, Level.FIRST, Judgement("", "good"), "fibrosis")
    assert (waits(DISEASE), waits("fibrosis")) == (both, both - {scan.pk})
    fibrosis.disease = DISEASE
    fibrosis.save()
    assert (waits(DISEASE), waits("fibrosis")) == (both, set())
    fibrosis.disease = "fibrosis"
    fibrosis.save()
    fibrosis.patients.remove(own.patient)
    assert (waits(DISEASE), waits("fibrosis")) == (both, set())
    own.patient.study_groups.set([fibrosis])
    assert (waits(DISEASE), waits("fibrosis")) == (set(), both - {scan.pk})
