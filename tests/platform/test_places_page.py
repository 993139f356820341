"""Centres and study groups made in the browser, and what a study group follows changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD, hospital

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.jobs.models import Job
from covidlit.platform.registry.study_groups import check_diseases, follow

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> Client:
    user = make_user("boss", PASSWORD)
    give_role(user, Role.ADMINISTRATOR)
    client = Client()
    client.force_login(user)
    return client


def said(client: Client, name: str, data: dict[str, str], **keys: Any) -> str:
    """The page after a form."""
    answer: Any = client.post(reverse(name, kwargs=keys), data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_study_group_of_a_disease_is_made_with_a_trace(boss: Client) -> None:
    said(boss, "add_centre", {"name": "west"})
    page = said(boss, "add_study_group", {"name": "scars", "disease": "fibrosis"})
    assert "The study group scars follows Fibrosis follow-up." in page
    assert Centre.objects.get().name == "west"
    assert StudyGroup.objects.get().disease == "fibrosis"
    told = [(e.username, e.action, e.subject, e.centre) for e in Entry.objects.all()[:2]]
    assert told == [("boss", "made the study group", "scars", ""),
                    ("boss", "made the centre", "west", "west")]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("add_study_group", {"name": "scars", "disease": "fibrosi"}, "did you mean fibrosis?"),
        ("add_study_group", {"name": "a b", "disease": "fibrosis"}, "write a-b."),
        ("add_study_group", {"name": "clinic", "disease": "fibrosis"}, "There is one already"),
        ("add_centre", {"name": ""}, "1 to 80 letters"),
        ("add_centre", {"name": "<script>"}, "write script."),
    ],
)
def test_what_cannot_be_made_is_told_and_nothing_is(
    boss: Client, name: str, data: dict[str, str], what: str
) -> None:
    StudyGroup.objects.create(name="clinic")
    n_entries = Entry.objects.count()
    assert what.casefold() in said(boss, name, data).casefold()
    assert (Centre.objects.count(), StudyGroup.objects.count()) == (0, 1)
    assert Entry.objects.count() == n_entries


@pytest.mark.parametrize(
    ("model", "name", "data"),
    [
        (Centre, "add_centre", {"name": "west"}),
        (StudyGroup, "add_study_group", {"name": "west", "disease": "fibrosis"}),
    ],
)
def test_of_two_who_make_one_name_at_once_the_second_is_told(
    model: Any, name: str, data: dict[str, str], boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(row: Any) -> None:  # the other one is between the check and the row
        model.objects.bulk_create([model(name=row.name)])

    monkeypatch.setattr(model, "clean_fields", checked)
    n_entries = Entry.objects.count()
    assert "There is one already".casefold() in said(boss, name, data).casefold()
    assert Entry.objects.count() == n_entries


def test_patients_of_a_study_group_are_measured_for_its_new_disease(boss: Client) -> None:
    own = hospital("north")
    data = {"disease": "fibrosis"}
    page = said(boss, "follow_disease", data, pk=own.group.pk)
    assert "1 patient will be measured" in page
    own.group.refresh_from_db()
    assert own.group.disease == "fibrosis"
    job = Job.objects.get(arguments__disease="fibrosis")
    assert job.arguments == {"patient": own.patient.pk, "disease": "fibrosis"}
    assert (job.study_group, job.centre) == (own.group, own.centre)
    entry = Entry.objects.get(action="changed the disease of the study group")
    assert entry.details == {"before": "covid-19", "now": "fibrosis"}
    said(boss, "follow_disease", data, pk=own.group.pk)  # again: nothing
    assert Job.objects.filter(arguments__disease="fibrosis").count() == 1
    assert Entry.objects.filter(action=entry.action).count() == 1
    assert "there is no disease" in said(boss, "follow_disease", {"disease": "x"}, pk=own.group.pk)


def test_patients_of_a_study_group_are_measured_after_what_others_wait_for(boss: Client) -> None:
    own = hospital("north")
    hospital("south", own.group)
    said(boss, "follow_disease", {"disease": "fibrosis"}, pk=own.group.pk)
    jobs = Job.objects.filter(arguments__disease="fibrosis").order_by("pk")
    assert [job.priority for job in jobs] == [0, -1]


def test_only_who_manages_everywhere_makes_places() -> None:
    own = hospital("north")
    client = own.client(Role.ADMINISTRATOR)
    page = client.get(reverse("places")).content.decode()
    assert "clinic" in page
    assert "New study group" not in page
    assert '<form method="post" action="/places' not in page
    other = StudyGroup.objects.create(name="elsewhere")
    assert "elsewhere" not in client.get(reverse("places")).content.decode()
    for name, keys in (("add_centre", {}), ("add_study_group", {}),
                       ("follow_disease", {"pk": own.group.pk}),
                       ("follow_disease", {"pk": other.pk})):  # fmt: skip
        data = {"name": "new", "disease": "fibrosis"}
        assert client.post(reverse(name, kwargs=keys), data).status_code == 403
    assert not StudyGroup.objects.exclude(disease="covid-19").exists()


def test_what_a_study_group_follows_is_not_for_its_own_administrator() -> None:
    """Its people would see what others have labelled for another disease."""
    own = hospital("north")
    user = make_user("head", PASSWORD)
    give_role(user, Role.ADMINISTRATOR, None, own.group)
    client = Client()
    client.force_login(user)
    address = reverse("follow_disease", kwargs={"pk": own.group.pk})
    assert client.post(address, {"disease": "fibrosis"}).status_code == 403
    own.group.refresh_from_db()
    assert own.group.disease == "covid-19"


def test_a_platform_does_not_start_without_a_disease_that_is_followed() -> None:
    group = StudyGroup.objects.create(name="fluid", disease="effusion")
    with pytest.raises(ConfigError, match="'effusion', and there is none"):
        check_diseases()
    follow(group, "fibrosis", by=make_user("boss", PASSWORD))
    check_diseases()
