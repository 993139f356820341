"""Patients found by number and name, by those who may know them; nobody else learns of a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from platform_world import Hospital, hospital

from covidlit.platform.accounts.models import StudyGroup
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import RIGHTS, Right, Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.registry.models import Identity, Patient
from covidlit.platform.registry.searched import name_searched, number_searched
from covidlit.platform.viewing.finding import MOST

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def _add(own: Hospital, pseudonym: str, number: str, name: str, **more: Any) -> Patient:
    patient = Patient.objects.create(pseudonym=pseudonym, centre=more.get("centre", own.centre))
    patient.study_groups.add(more.get("group", own.group))
    Identity.objects.create(patient=patient, hospital_id=number, name=name)
    return patient


def _post(client: Client, text: str) -> Any:
    return client.post(reverse("find_patients"), {"search": text})


def _found(client: Client, text: str) -> list[str]:
    content = _post(client, text).content.decode()
    return re.findall(r'<th scope="row"><a href="/patients/([^/]+)/"', content)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0047 11", ["A1"]), ("004711", ["A1"]), ("4711", []), ("00471", []),
        ("h-7/b", ["A2"]), ("H-7/B", ["A2"]),
        ("müller", ["A1", "A2"]), ("MULLER", ["A1", "A2"]), ("Müller, Anna", ["A1"]),
        ("mü", ["A1", "A2"]), ("m", []), ("anna", []), ("o'bri", ["B3"]), ("王", []),
        ("王小", ["B4"]),
        ("Große", ["B5"]), ("GROSSE", ["B5"]),
        ("A", ["A1", "A2"]), ("a", ["A1", "A2"]), ("%", []), ("_1", []),
        ("", []), ("  ", []), ("\U0010ffff", []),
    ],
)  # fmt: skip
def test_numbers_are_found_whole_and_names_from_the_left(
    text: str, found: list[str], own: Hospital
) -> None:
    _add(own, "A1", "0047 11", "Müller^Anna^^Dr.")
    _add(own, "A2", "H-7/b", "MULLER^Zoe")
    _add(own, "B3", "12", "O'Brien^Pat")
    _add(own, "B4", "13", "王小东")
    _add(own, "B5", "14", "Große^Ida")
    assert _found(own.client(Role.PHYSICIAN), text) == found


def test_a_renamed_patient_is_found_by_the_new_name_however_it_was_written(own: Hospital) -> None:
    patient = _add(own, "A1", "1", "Old^Name")
    identity = patient.identity
    identity.name = "New^Name"
    identity.save()
    client = own.client(Role.PHYSICIAN)
    assert _found(client, "new") == ["A1"]
    assert _found(client, "old") == []
    others = [Patient.objects.create(pseudonym=f"C{n}", centre=own.centre) for n in range(3)]
    for each in others:
        each.study_groups.add(own.group)
    Identity.objects.bulk_create(
        [Identity(patient=each, hospital_id="B-1", name="Many^X") for each in others]
    )
    assert _found(client, "b-1") == ["C0", "C1", "C2"]


Search = Callable[[Client, str], Any]
SEARCHES: dict[str, Search] = {
    "find": _post,
    "page": lambda client, text: client.get("/", {"search": text}),
    "api": lambda client, text: client.get("/api/v1/patients", {"search": text}),
}


def _seen(answer: Any, typed: str) -> tuple[int, str]:
    """What somebody learns from an answer, apart from what he typed and what is drawn anew."""
    content = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())
    return answer.status_code, content.replace(typed, "(typed)")


@pytest.mark.parametrize("search", list(SEARCHES))
@pytest.mark.parametrize("role", list(Role))
def test_nobody_without_the_right_learns_whether_a_number_or_name_exists(
    search: str, role: Role, own: Hospital
) -> None:
    foreign = hospital("south")
    group = StudyGroup.objects.create(name="study")
    _add(own, "X9", "in-another-study", "Study^Another", group=group)
    client = own.client(role)
    # He may see the patients of the other centre, and not who they are.
    give_role(own.people[role], Role.READER, foreign.centre, foreign.group)
    ask = SEARCHES[search]
    hidden = ["secret-south", "in-another-study", "study"]
    if Right.IDENTIFY not in RIGHTS[role]:
        hidden += ["secret-north", "secret"]
    told = Entry.objects.count()
    for text in hidden:
        with CaptureQueriesContext(connection) as asked:
            answer = ask(client, text)
        nobody = f"z{text[1:]}"
        with CaptureQueriesContext(connection) as asked_of_nobody:
            none = ask(client, nobody)
        assert _seen(answer, text) == _seen(none, nobody)
        assert len(asked) == len(asked_of_nobody), text
    assert Entry.objects.count() == told


def test_whom_a_search_finds_is_in_the_trail_and_not_what_was_typed(own: Hospital) -> None:
    client = own.client(Role.PHYSICIAN)
    physician = own.people[Role.PHYSICIAN]
    _add(own, "A1", "471108151147", "Müller^Anna")
    for text, n in (("ecret", 0), ("P-", 0), ("nobody of this name", 0), ("SECRET-NORTH", 1)):
        before = Entry.objects.count()
        answer = _post(client, text)
        assert Entry.objects.count() - before == n, text
        assert f'value="{text}"' not in answer.content.decode()
    for text in ("secret-north", "secret n", "471108151147"):  # each time anew
        _post(client, text)
    entries = Entry.objects.filter(action="found by number or name").order_by("number")
    subjects = [(each.username, each.subject, each.centre) for each in entries]
    name = physician.username
    assert subjects == [(name, "patient P-north", "north")] * 3 + [(name, "patient A1", "north")]
    said = str(list(Entry.objects.values())).casefold()
    # So long a number stands in no digest of the trail by chance.
    assert not any(each in said for each in ("secret", "471108151147", "müller", "muller"))


def test_of_many_some_are_shown_and_no_more_are_told_of(own: Hospital) -> None:
    for n in range(MOST + 5):
        _add(own, f"A{n:02}", f"n{n}", f"Same^{n:02}")
    client = own.client(Role.PHYSICIAN)
    answer = _post(client, "same")
    assert answer.content.decode().count('<th scope="row">') == MOST
    assert "there are more" in answer.content.decode()
    assert Entry.objects.filter(action="found by number or name").count() == MOST
    assert "there are more" not in _post(client, "same 1").content.decode()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="asks for the plans of SQLite")
def test_a_search_does_not_go_through_all_patients(own: Hospital) -> None:
    client = own.client(Role.PHYSICIAN)
    plans: list[str] = []

    def explained(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "registry_identity" in sql and not sql.startswith("EXPLAIN"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
                plans.append(" | ".join(str(row[3]) for row in cursor.fetchall()))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(explained):
        _post(client, "secret-north")
        _post(client, "secret no")
    assert len(plans) == 3  # by number; by number, then by name
    for plan in plans:
        assert "SEARCH registry_identity USING INDEX" in plan, plan
        assert "SCAN" not in plan, plan


@pytest.mark.parametrize(
    ("text", "number", "name"),
    [("Ａ１２", "a12", "a12"), ("Ǆ", "dž", "dz"), ("ﬁ", "fi", "fi"), ("한국", "한국", "한국")],
)
def test_forms_of_one_letter_are_one(text: str, number: str, name: str) -> None:
    assert number_searched(text) == number
    assert name_searched(text) == name
