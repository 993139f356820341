"""What people see of accounts and roles: where a changed password leads, what is told of a role."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD

from covidlit.platform.accounts.models import Centre, Membership, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry

pytestmark = pytest.mark.django_db

OTHER = "another long enough phrase"


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


def logged_in(username: str, password: str = PASSWORD) -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": username, "password": password})
    return client


def test_a_changed_password_leads_to_the_patients() -> None:
    give_role(make_user("somebody", PASSWORD, by=make_user("boss", PASSWORD)), Role.READER)
    client = logged_in("somebody")
    new = {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER}
    page: Any = client.post(reverse("account_change_password"), new, follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert page.status_code == 200


def test_of_two_who_make_one_account_at_once_the_second_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_role(make_user("boss", PASSWORD), Role.ADMINISTRATOR)
    client = logged_in("boss")
    n_entries = Entry.objects.count()

    def checked(password: str, user: User) -> None:  # the other one is between check and row
        if not User.objects.filter(username__iexact=user.username).exists():
            User.objects.create(username=user.username.upper())

    monkeypatch.setattr("covidlit.platform.accounts.people.validate_password", checked)
    data = {"username": "somebody", "password": PASSWORD}
    page: Any = client.post(reverse("add_person"), data, follow=True)
    assert page.status_code == 200
    assert "A user with that username already exists." in page.content.decode()
    assert "can log in" not in page.content.decode()
    assert User.objects.filter(username__iexact="somebody").count() == 1
    assert Entry.objects.count() == n_entries


@pytest.mark.parametrize("name", ["account_change_password", "account_reauthenticate"])
def test_no_page_leads_to_a_reset_by_e_mail(name: str) -> None:
    make_user("somebody", PASSWORD)
    page = logged_in("somebody").get(reverse(name)).content.decode()
    assert 'type="password"' in page
    assert reverse("account_reset_password") not in page
    assert "An administrator of this platform" in page


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("account_change_password", "Change password"), ("account_logout", "Sign out"),
        ("account_reauthenticate", "Confirm access"), ("mfa_index", "Two-factor authentication"),
        ("mfa_activate_totp", "Activate authenticator app"),
    ],
)  # fmt: skip
def test_titles_are_set_as_those_of_other_pages(name: str, title: str) -> None:
    make_user("somebody", PASSWORD)
    client = logged_in("somebody")
    if name == "mfa_activate_totp":
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    page = client.get(reverse(name)).content.decode()
    assert f"<title>{title} · Test platform</title>" in page
    assert f"<h1>{title}</h1>" in page


def test_a_role_given_and_taken_is_said() -> None:
    give_role(make_user("boss", PASSWORD), Role.ADMINISTRATOR)
    other = make_user("other", PASSWORD)
    Centre.objects.create(name="north")
    client = logged_in("boss")
    data = {"username": "other", "role": "GRADER_FIRST", "centre": "north"}
    page: Any = client.post(reverse("give_role"), data, follow=True)
    words = "grader of first level in north, all study groups."
    assert f"other is now {words}" in page.content.decode()
    take = reverse("take_role", args=[other.memberships.get().pk])
    page = client.post(take, follow=True)
    assert f"other is no longer {words}" in page.content.decode()
    boss = Membership.objects.get(user__username="boss")
    page = client.post(reverse("take_role", args=[boss.pk]), follow=True)
    assert "last administrator" in page.content.decode()
    assert "boss is no longer" not in page.content.decode()
