"""Log-in by OpenID Connect at a real provider: roles by groups, asked again, and taken away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD, hospital

from covidlit.platform.accounts.models import Membership, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.directory.middleware import CHECKED, PATIENCE
from covidlit.platform.options import GroupRole, OidcSettings

oidc_provider_mock = pytest.importorskip("oidc_provider_mock")
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore::authlib.deprecate.AuthlibDeprecationWarning"),
]

READERS = GroupRole(group="Radiology", role="reader", centre="north")
GRADERS = GroupRole(group="graders", role="grader_first", centre="north", study_group="clinic")


@pytest.fixture
def provider(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        address = f"http://localhost:{server.server_port}"
        whole = django_settings.FOLDER.settings.model_copy(
            update={
                "oidc": OidcSettings(server=address, client_id="covidlit"),
                "group_roles": [READERS, GRADERS],
            }
        )
        monkeypatch.setattr(django_settings.FOLDER, "settings", whole)
        settings.DIRECTORIES = {"oidc": "covidlit.platform.directory.oidc.Oidc"}
        settings.DIRECTORY_LOG_IN = True
        app = {
            "provider_id": "hospital", "name": "the hospital", "client_id": "covidlit",
            "secret": "x", "settings": {"server_url": address},
        }  # fmt: skip
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}
        }
        yield address


def person(provider: str, sub: str, *groups: str) -> None:
    """Somebody of the directory, with an address that is no secret."""
    claims = {"preferred_username": sub, "email": f"{sub}@hospital.example", "groups": groups}
    assert requests.put(f"{provider}/users/{sub}", json=claims).status_code == 204


def log_in(provider: str, sub: str, client: Client | None = None) -> tuple[Client, Any]:
    """Go the way that a browser goes; the platform's answer to the provider's."""
    client = client or Client()
    begun = client.post(reverse("openid_connect_login", args=["hospital"]))
    assert begun.status_code == 302
    assert begun["Location"].startswith(provider)
    allowed = requests.post(begun["Location"], data={"sub": sub}, allow_redirects=False)
    back = urlsplit(allowed.headers["Location"])
    return client, client.get(f"{back.path}?{back.query}")


def roles(sub: str) -> set[str]:
    return set(Membership.objects.filter(user__username=sub).values_list("role", flat=True))


def later(client: Client, intervals: float) -> None:
    """Let the last look at the groups be so many intervals ago."""
    session = client.session
    minutes = django_settings.FOLDER.settings.directory.check_minutes
    session[CHECKED] = time.time() - 60 * minutes * intervals
    session.save()


def test_groups_become_roles_at_their_place(provider: str) -> None:
    own, other = hospital("north"), hospital("south")
    person(provider, "ana", "radiology", "staff")
    client, answer = log_in(provider, "ana")
    assert answer.status_code == 302
    assert roles("ana") == {"READER"}
    assert client.get(reverse("patient", args=[own.patient.pseudonym])).status_code == 200
    assert client.get(reverse("patient", args=[other.patient.pseudonym])).status_code == 404
    user = User.objects.get(username="ana")
    assert (user.email, user.directory) == ("", "oidc")
    assert not user.has_usable_password()
    assert Entry.objects.filter(action="gave the role", subject="ana").exists()


def test_without_a_group_that_has_a_role_nobody_comes_in(provider: str) -> None:
    person(provider, "eve", "kitchen")
    _, answer = log_in(provider, "eve")
    assert answer.status_code == 403
    assert "none of your groups" in answer.content.decode()
    assert not User.objects.filter(username="eve").exists()


def test_a_group_that_is_left_ends_its_role_in_a_running_session(provider: str) -> None:
    hospital("north")
    person(provider, "ana", "radiology", "graders")
    client, _ = log_in(provider, "ana")
    assert roles("ana") == {"READER", "GRADER_FIRST"}
    person(provider, "ana", "radiology")
    assert client.get("/").status_code == 200
    assert roles("ana") == {"READER", "GRADER_FIRST"}  # not asked at every click
    later(client, 1.1)
    assert client.get("/").status_code == 200
    assert roles("ana") == {"READER"}
    person(provider, "ana", "kitchen")
    later(client, 1.1)
    assert client.get("/").status_code == 302  # logged out
    assert roles("ana") == set()


def test_a_role_that_an_administrator_gave_stays(provider: str) -> None:
    own = hospital("north")
    person(provider, "ana", "radiology")
    client, _ = log_in(provider, "ana")
    give_role(User.objects.get(username="ana"), Role.PHYSICIAN, own.centre, own.group)
    person(provider, "ana", "kitchen")
    later(client, 1.1)
    assert client.get("/").status_code == 200
    assert roles("ana") == {"PHYSICIAN"}


def test_a_log_in_that_was_ended_there_ends_here(provider: str) -> None:
    hospital("north")
    person(provider, "ana", "radiology")
    client, _ = log_in(provider, "ana")
    assert requests.post(f"{provider}/users/ana/revoke-tokens").status_code == 204
    later(client, 1.1)
    assert client.get("/").status_code == 302


def test_a_provider_that_is_silent_is_waited_for_a_while(
    provider: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital("north")
    person(provider, "ana", "radiology")
    client, _ = log_in(provider, "ana")

    def silent(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests.Session, "request", silent)
    later(client, 1.1)
    assert client.get("/").status_code == 200
    later(client, PATIENCE + 0.1)
    assert client.get("/").status_code == 302


def test_an_account_of_the_same_name_is_not_reached(provider: str) -> None:
    own = hospital("north")
    boss = make_user("boss", PASSWORD)
    give_role(boss, Role.ADMINISTRATOR)
    person(provider, "boss", "radiology")
    client, _ = log_in(provider, "boss")
    assert int(client.session["_auth_user_id"]) != boss.pk
    assert client.get(reverse("people")).status_code == 403
    # Nor by somebody who is logged in already and lets his accounts be joined.
    mine = own.client(Role.ADMINISTRATOR)
    begun = mine.post(reverse("openid_connect_login", args=["hospital"]) + "?process=connect")
    allowed = requests.post(begun["Location"], data={"sub": "boss"}, allow_redirects=False)
    back = urlsplit(allowed.headers["Location"])
    assert mine.get(f"{back.path}?{back.query}").status_code == 403


def test_the_way_there_is_shown_where_it_is_set(provider: str, settings: Any) -> None:
    assert "account of the hospital" in Client().get(reverse("account_login")).content.decode()
    settings.DIRECTORY_LOG_IN = False
    assert "account of the hospital" not in Client().get(reverse("account_login")).content.decode()
    for name in ("cancelled", "error", "signup", "connections"):
        assert Client().get(reverse(f"socialaccount_{_NAMES.get(name, name)}")).status_code == 403


_NAMES = {"cancelled": "login_cancelled", "error": "login_error"}
