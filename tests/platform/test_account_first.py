"""Accounts that are not ready: a password that somebody else knows, a second factor that is due."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD, hospital

from covidlit.platform.accounts.middleware import lacks_second_factor
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import RIGHTS, Right, Role

pytestmark = pytest.mark.django_db

OTHER = "another long enough phrase"


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


def _asking(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    own = settings.FOLDER.settings
    accounts = own.accounts.model_copy(update={"second_factor": who})
    monkeypatch.setattr(settings.FOLDER, "settings", own.model_copy(update={"accounts": accounts}))


def _logged_in(username: str, password: str = PASSWORD) -> Client:
    client = Client()
    answer = client.post(reverse("account_login"), {"login": username, "password": password})
    assert answer.status_code == 302
    return client


def test_a_password_that_an_administrator_chose_is_changed_first() -> None:
    boss = make_user("boss", PASSWORD)
    give_role(boss, Role.ADMINISTRATOR)
    client = _logged_in("boss")
    assert client.get("/").status_code == 200  # his own password
    client.post(reverse("add_person"), {"username": "new", "password": PASSWORD})
    give_role(User.objects.get(username="new"), Role.ADMINISTRATOR)
    own = _logged_in("new")
    change = reverse("account_change_password")
    for name in ("patients", "uploads", "people", "mfa_index"):
        assert own.get(reverse(name))["Location"] == change, name
    assert own.post(reverse("add_person"), {"username": "x", "password": OTHER}).status_code == 302
    assert not User.objects.filter(username="x").exists()
    assert own.get(change).status_code == 200
    for password in (PASSWORD, "short"):  # the same one, a weak one
        data = {"oldpassword": PASSWORD, "password1": password, "password2": password}
        own.post(change, data)
        assert own.get("/").status_code == 302
    own.post(change, {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER})
    assert own.get("/").status_code == 200
    assert _logged_in("new", OTHER).get("/").status_code == 200


@pytest.mark.parametrize(
    ("who", "asked"),
    [
        ("optional", set()),
        ("administrators", {Role.ADMINISTRATOR}),
        ("everybody", set(Role)),
    ],
)
def test_a_second_factor_is_asked_of_those_whom_the_settings_name(
    who: str, asked: set[Role], monkeypatch: pytest.MonkeyPatch
) -> None:
    _asking(monkeypatch, who)
    own = hospital("north")
    for role in Role:
        answer = own.client(role).get("/")
        seen = 200 if Right.VIEW in RIGHTS[role] else 403
        assert answer.status_code == (302 if role in asked else seen), role
        if role in asked:
            assert answer["Location"] == reverse("mfa_activate_totp")


def test_a_second_factor_opens_the_pages_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    _asking(monkeypatch, "everybody")
    give_role(make_user("somebody", PASSWORD), Role.READER)
    client = _logged_in("somebody")
    page: Any = client.get("/", follow=True)
    assert page.redirect_chain[0][0] == reverse("mfa_activate_totp")
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert client.get(reverse("mfa_activate_totp")).status_code == 200
    secret = client.session["mfa.totp.secret"]
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    client.post(reverse("mfa_activate_totp"), {"code": code})
    user = User.objects.get()
    assert Authenticator.objects.filter(user=user, type="totp").exists()
    assert client.get("/").status_code == 200
    Authenticator.objects.filter(user=user).delete()
    assert client.get("/").status_code == 302
    TOTP.activate(user, secret)
    assert client.get("/").status_code == 200


def test_the_hospitals_own_accounts_have_the_factors_of_its_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _asking(monkeypatch, "everybody")
    user = make_user("somebody", PASSWORD)
    give_role(user, Role.ADMINISTRATOR)
    assert lacks_second_factor(user)
    user.directory = User.OIDC
    assert not lacks_second_factor(user)
