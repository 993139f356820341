"""Log-ins: by password, throttled, ended, and told in the audit trail."""

from __future__ import annotations

import time

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD, hospital

from covidlit.errors import ConfigError
from covidlit.platform.accounts.access import restore_administrator
from covidlit.platform.accounts.middleware import STARTED
from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user, take_role
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.audit.trail import record

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


def log_in(client: Client, username: str, password: str) -> int:
    data = {"login": username, "password": password}
    return client.post(reverse("account_login"), data).status_code


def told() -> list[tuple[str, str]]:
    return [(e.action, e.subject) for e in Entry.objects.order_by("number")]


def test_a_session_begins_and_ends_and_both_are_told() -> None:
    give_role(make_user("somebody", PASSWORD), Role.READER)
    client = Client()
    assert log_in(client, "somebody", PASSWORD) == 302
    assert client.get("/").status_code == 200
    client.post(reverse("account_logout"))
    assert client.get("/").status_code == 302
    assert told()[-2:] == [("logged in", "somebody"), ("logged out", "somebody")]


def test_a_wrong_password_says_nothing_of_the_account_and_is_told() -> None:
    make_user("somebody", PASSWORD)
    pages = []
    for name in ("somebody", "nobody-at-all"):
        data = {"login": name, "password": "not that phrase"}
        page = Client().post(reverse("account_login"), data).content.decode()
        pages.append(page.replace(name, "").split("<form")[-1].split("csrfmiddlewaretoken")[0])
    assert pages[0] == pages[1]
    failed = [subject for action, subject in told() if action == "refused to log in"]
    assert failed == ["somebody", "an unknown account"]


def test_log_ins_are_throttled() -> None:
    make_user("somebody", PASSWORD)
    for _ in range(5):
        log_in(Client(), "somebody", "not that phrase")
    assert log_in(Client(), "somebody", PASSWORD) != 302


def test_a_session_ends_after_its_longest_time_however_busy() -> None:
    give_role(make_user("somebody", PASSWORD), Role.READER)
    client = Client()
    log_in(client, "somebody", PASSWORD)
    assert client.get("/").status_code == 200
    session = client.session
    session[STARTED] = time.time() - settings.SESSION_LONGEST_SECONDS - 1
    session.save()
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("address", ["signup/", "password/reset/", "email/", "../admin/login/"])
def test_there_is_no_second_way_in(address: str) -> None:
    data = {"username": "intruder", "password1": PASSWORD, "password2": PASSWORD, "email": "a@b.c"}
    for answer in (Client().get(f"/account/{address}"), Client().post(f"/account/{address}", data)):
        assert answer.status_code in (302, 404)
        assert answer.status_code == 404 or "/account/login/" in answer["Location"]
    assert not User.objects.exists()


def test_names_that_differ_in_capitals_alone_are_one() -> None:
    make_user("somebody", PASSWORD)
    for name in ("Somebody", "SOMEBODY", "covidlit"):
        with pytest.raises(ConfigError):
            make_user(name, PASSWORD)
    assert log_in(Client(), "somebody", PASSWORD) == 302


def test_the_last_administrator_keeps_the_role_and_can_be_restored() -> None:
    user = make_user("boss", PASSWORD)
    role = give_role(user, Role.ADMINISTRATOR)
    with pytest.raises(ConfigError, match="last administrator"):
        take_role(role)
    restore_administrator("boss", "another long phrase")
    assert log_in(Client(), "boss", "another long phrase") == 302
    restore_administrator("deputy", PASSWORD)
    take_role(role)
    assert not user.memberships.exists()


def test_pages_are_not_kept_by_the_browser() -> None:
    give_role(make_user("somebody", PASSWORD), Role.READER)
    client = Client()
    log_in(client, "somebody", PASSWORD)
    assert client.get("/")["Cache-Control"] == "no-store"


def test_an_administrator_of_a_study_group_sees_no_entries_of_others() -> None:
    centre = Centre.objects.create(name="north")
    group = StudyGroup.objects.create(name="trial")
    record(None, "looked at", "patient P-other", "north")
    for number, (own_centre, own_group, sees) in enumerate(
        ((None, group, False), (centre, group, False), (centre, None, True), (None, None, True))
    ):
        user = make_user(f"admin-{number}", PASSWORD)
        give_role(user, Role.ADMINISTRATOR, own_centre, own_group)
        client = Client()
        client.force_login(user)
        assert (b"P-other" in client.get(reverse("trail")).content) is sees


@pytest.mark.parametrize("password", ["short", "password1234", "somebody-else"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(ConfigError):
        make_user("somebody-else", password)


def test_pages_forbid_scripts_frames_and_other_hosts() -> None:
    answer = Client().get(reverse("account_login"))
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"<script>" not in answer.content
    assert Client().get("/", headers={"host": "elsewhere.example"}).status_code == 400


@pytest.mark.parametrize("path", ["/?search=a%00b", "/patients/P%00/"])
def test_a_null_character_is_refused_before_it_comes_to_the_database(path: str) -> None:
    client = hospital("north").client(Role.READER)
    assert client.get(path).status_code == 400
    assert client.post("/account/login/", {"login": "a\0b", "password": "x"}).status_code == 400
